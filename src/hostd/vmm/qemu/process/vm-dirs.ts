import { hash, randomBytes } from "node:crypto";
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { replaceFileSync } from "../../../../lib/stores/durable-file.ts";
import { makePrivateFolder } from "../../../../lib/stores/private-folder.ts";
import type { StartPath } from "../../vmm.ts";
import type { ProcessId } from "./process-id.ts";

/** What hostd must know of a VM that it finds. */
export interface VmRecord {
  readonly qemu: ProcessId;
  /** QEMU's parent process, when there is one between hostd and QEMU. */
  readonly parent?: ProcessId;
  readonly startPath: StartPath;
}

/** Begins the ids of warm VMs, which no machine has. */
export const POOL_PREFIX = "pool-";
/** The number of uids that a host has for its VMs; it runs far fewer. */
export const UID_SLOTS = 4096;

const RUN = "run";
const RECORD = "vm.json";
const LOG_CURSOR = "log-cursor";
const STDERR = "stderr.log";
const SAVING = "saving";
const USED_UP = "saved";
const PRIVATE = 0o700;
const VM_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const MAX_STDERR_BYTES = 64 * 1024;

export function newPoolId(): string {
  return POOL_PREFIX + randomBytes(6).toString("hex");
}

/**
 * The folders of this host's VMs. What hostd keeps about a VM only hostd can read; QEMU owns a
 * folder in there, and nothing that it does in it can make hostd read or write elsewhere.
 */
export class VmDirs {
  /** Begins the `-name` of every QEMU of this host, and of no other. */
  readonly namePrefix: string;
  readonly #root: string;
  readonly #uidBase: number | undefined;

  /**
   * @param dir the host's data directory
   * @param uidBase the first uid for VMs; undefined: they run as hostd does
   */
  constructor(dir: string, uidBase: number | undefined) {
    this.#root = join(dir, "vms");
    this.#uidBase = uidBase;
    makePrivateFolder(this.#root);
    this.namePrefix = `windhover-${hash("sha256", realpathSync(this.#root)).slice(0, 12)}-`;
  }

  /** Returns the folder of a VM, whether it exists or not. Throws for what cannot be an id. */
  path(vmId: string): string {
    if (!VM_ID.test(vmId)) throw new Error(`${JSON.stringify(vmId)} is no id of a VM`);
    return join(this.#root, vmId);
  }

  /** Returns the folder in it that QEMU owns, for sockets and disks. */
  runDir(vmId: string): string {
    return join(this.path(vmId), RUN);
  }

  /** Makes the folder and picks the lowest free uid. Fails when the VM exists. */
  create(vmId: string): { readonly runDir: string; readonly uid: number } {
    const uid = this.#freeUid();
    const runDir = this.runDir(vmId);
    mkdirSync(this.path(vmId), { mode: PRIVATE });
    mkdirSync(runDir, { mode: PRIVATE });
    this.chown(runDir, uid);
    return { runDir, uid };
  }

  /** Makes a VM the owner of a file in its folder. */
  chown(file: string, uid: number): void {
    if (this.#uidBase !== undefined) chownSync(file, uid, uid);
  }

  async has(vmId: string): Promise<boolean> {
    const found = await stat(this.path(vmId)).catch(() => undefined);
    return found !== undefined;
  }

  list(): string[] {
    return readdirSync(this.#root).filter((name) => VM_ID.test(name));
  }

  /** Gives a VM another id. Fails when that is taken. */
  async rename(vmId: string, to: string): Promise<void> {
    await rename(this.path(vmId), this.path(to));
  }

  writeRecord(vmId: string, record: VmRecord): void {
    replaceFileSync(join(this.path(vmId), RECORD), JSON.stringify(record));
  }

  readRecord(vmId: string): VmRecord | undefined {
    try {
      const record: unknown = JSON.parse(readFileSync(join(this.path(vmId), RECORD), "utf8"));
      return isRecord(record) ? record : undefined;
    } catch {
      return undefined;
    }
  }

  /** Notes that a VM stands still because it is being saved. */
  markSaving(vmId: string): void {
    writeFileSync(join(this.path(vmId), SAVING), "");
  }

  /** Whether a VM may stand still because it was being saved. */
  isSaving(vmId: string): boolean {
    return existsSync(join(this.path(vmId), SAVING));
  }

  /** Returns the folder of the saved VM that a VM has used up: from then on it may run, also when it stands still. */
  usedUp(vmId: string): string {
    return join(this.path(vmId), USED_UP);
  }

  endSaving(vmId: string): void {
    rmSync(join(this.path(vmId), SAVING), { force: true });
  }

  stderr(vmId: string): string {
    return join(this.path(vmId), STDERR);
  }

  /** Returns the file for the number of the last log line that was delivered. */
  logCursor(vmId: string): string {
    return join(this.path(vmId), LOG_CURSOR);
  }

  /** Reads the end of QEMU's standard error, as one line. */
  readStderr(vmId: string): string {
    try {
      return readFileSync(this.stderr(vmId), "utf8").slice(-1_000).trim().replaceAll(/\s+/g, " ");
    } catch {
      return "";
    }
  }

  /** Empties a large file of QEMU's standard error, so that no guest can fill the disk. */
  trimStderr(vmId: string): void {
    const file = this.stderr(vmId);
    if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > MAX_STDERR_BYTES) truncateSync(file);
  }

  async remove(vmId: string): Promise<void> {
    await rm(this.path(vmId), { recursive: true, force: true });
  }

  #freeUid(): number {
    const base = this.#uidBase;
    if (base === undefined) return process.getuid?.() ?? 0;
    // A uid is taken as long as a folder has it.
    const taken = new Set(
      this.list().map((name) => statSync(this.runDir(name), { throwIfNoEntry: false })?.uid),
    );
    for (let uid = base; uid < base + UID_SLOTS; uid++) if (!taken.has(uid)) return uid;
    throw new Error(`all ${UID_SLOTS} uids for VMs are taken`);
  }
}

function isRecord(value: unknown): value is VmRecord {
  return typeof value === "object" && value !== null && "qemu" in value && "startPath" in value;
}
