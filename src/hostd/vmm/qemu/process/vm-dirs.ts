import { createHash } from "node:crypto";
import {
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  truncateSync,
} from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { replaceFileSync } from "../../../../lib/stores/durable-file.ts";
import type { StartPath } from "../../vmm.ts";
import type { ProcessId } from "./process-id.ts";

/** What must be known of a VM by whoever finds its directory. */
export interface VmRecord {
  readonly qemu: ProcessId;
  /** The process that waits for QEMU, when it was started through one. */
  readonly parent?: ProcessId;
  readonly startPath: StartPath;
}

const RUN = "run";
const RECORD = "vm.json";
/** QEMU has to get through to its own folder where it is not bound into a namespace. */
const PASSABLE = 0o711;
const LOG_CURSOR = "log-cursor";
const STDERR = "stderr.log";
const VM_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
/** How many uids a host has for its VMs; it runs far fewer. */
export const UID_SLOTS = 4096;
const MAX_STDERR = 64 * 1024;

/**
 * The directories of this host's VMs. What hostd keeps about a VM is hostd's alone; the VM's QEMU owns a folder in there, and nothing
 * it does in it can make hostd read or write elsewhere.
 */
export class VmDirs {
  /** Begins the `-name` of every QEMU of this host, and of no other. */
  readonly mark: string;
  private readonly root: string;
  private readonly uidBase: number | undefined;

  /** `uidBase` is the first uid for VMs; undefined when they run as we do. */
  constructor(dir: string, uidBase: number | undefined) {
    this.root = join(dir, "vms");
    this.uidBase = uidBase;
    mkdirSync(this.root, { recursive: true, mode: PASSABLE });
    const place = createHash("sha256").update(realpathSync(this.root)).digest("hex").slice(0, 12);
    this.mark = `windhover-${place}-`;
  }

  /** The directory of a VM, whether it exists or not. Throws for what cannot be an id. */
  path(vmId: string): string {
    if (!VM_ID.test(vmId)) throw new Error(`${JSON.stringify(vmId)} is no id of a VM`);
    return join(this.root, vmId);
  }

  /** The folder in it that the VM's QEMU owns: sockets and disks. */
  runDir(vmId: string): string {
    return join(this.path(vmId), RUN);
  }

  /** Makes the directory and picks the lowest uid that no other VM has. Fails when the VM exists. */
  create(vmId: string): { readonly runDir: string; readonly uid: number } {
    const uid = this.freeUid();
    const runDir = this.runDir(vmId);
    mkdirSync(this.path(vmId), { mode: PASSABLE });
    mkdirSync(runDir, { mode: 0o700 });
    this.give(runDir, uid);
    return { runDir, uid };
  }

  /** The same, in place of what an earlier run may have left. */
  async createAnew(vmId: string): Promise<{ readonly runDir: string; readonly uid: number }> {
    await this.remove(vmId);
    return this.create(vmId);
  }

  /** Hands a file in there to the VM. */
  give(file: string, uid: number): void {
    if (this.uidBase !== undefined) chownSync(file, uid, uid);
  }

  /** Whether the VM has a directory. */
  async has(vmId: string): Promise<boolean> {
    const found = await stat(this.path(vmId)).catch(() => undefined);
    return found !== undefined;
  }

  /** Every VM that has a directory. */
  list(): string[] {
    return readdirSync(this.root).filter((name) => VM_ID.test(name));
  }

  /** Gives a VM another id. Fails when that is taken. */
  async rename(vmId: string, to: string): Promise<void> {
    await rename(this.path(vmId), this.path(to));
  }

  /** Writes the record; whole, even when we are killed meanwhile. */
  writeRecord(vmId: string, record: VmRecord): void {
    replaceFileSync(join(this.path(vmId), RECORD), JSON.stringify(record));
  }

  /** The record, or undefined when the VM never got that far. */
  readRecord(vmId: string): VmRecord | undefined {
    try {
      const record: unknown = JSON.parse(readFileSync(join(this.path(vmId), RECORD), "utf8"));
      return isRecord(record) ? record : undefined;
    } catch {
      return undefined;
    }
  }

  /** Where QEMU complains. */
  stderr(vmId: string): string {
    return join(this.path(vmId), STDERR);
  }

  /** Where the number of the last log line taken is noted. */
  logCursor(vmId: string): string {
    return join(this.path(vmId), LOG_CURSOR);
  }

  /** The end of what QEMU complained about, as one line. */
  readStderr(vmId: string): string {
    try {
      return readFileSync(this.stderr(vmId), "utf8").slice(-1_000).trim().replaceAll(/\s+/g, " ");
    } catch {
      return "";
    }
  }

  /** Keeps a guest that makes QEMU complain from filling the disk. */
  trimStderr(vmId: string): void {
    const file = this.stderr(vmId);
    if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > MAX_STDERR) truncateSync(file);
  }

  /** Removes the directory and all in it. Nothing happens when there is none. */
  async remove(vmId: string): Promise<void> {
    await rm(this.path(vmId), { recursive: true, force: true });
  }

  private freeUid(): number {
    const base = this.uidBase;
    if (base === undefined) return process.getuid?.() ?? 0;
    // A uid is free again once its VM's directory is gone, however that came about.
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
