import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { logger } from "../../lib/runtime/log.ts";
import { replaceFileSync } from "../../lib/stores/durable-file.ts";
import type { PoolMetrics } from "./pool-metrics.ts";
import type { Acceleration } from "./qemu/process/command-line.ts";
import { type Confinement, probeConfinement } from "./qemu/process/confinement.ts";
import { type GuestAssets, loadGuestAssets } from "./qemu/process/guest-assets.ts";
import { UID_SLOTS, VmDirs } from "./qemu/process/vm-dirs.ts";
import { QemuVmm, type QemuVmmOptions } from "./qemu/qemu-vmm.ts";
import type { StartPath, Vmm, VmmInfo } from "./vmm.ts";

/** What a host may be told about its VMM. */
export interface SelectOptions {
  /** `auto` tries KVM and then emulation; the others insist. */
  readonly mode: "auto" | Acceleration | "sim";
  /** The host's data directory. */
  readonly dir: string;
  /** Where guest/build has put the guest's files. */
  readonly guestDir: string;
  /** First of the 4096 uids that VMs run under when we are root. Undefined: a range that follows from `dir`, so that hosts differ. */
  readonly uidBase: number | undefined;
  /** `none` runs QEMU as we are, for systems on which nothing else works. */
  readonly confinement: "auto" | "none";
  /** How long a launch may take. */
  readonly bootTimeoutMs: number;
  /** How many VMs should boot, or be cloned from templates, at once. */
  readonly maxBoots: number;
  /** The ways to a running guest that may be taken, fastest first. */
  readonly startPaths: readonly StartPath[];
  /** Most memory for VMs that wait; 0: none ever do. They begin to once `keepWarm` is called. */
  readonly warmMemoryMb: number;
  /** Most disk for templates. */
  readonly templateMb: number;
  /** Told of VMs that wait. */
  readonly pool: PoolMetrics;
  /** Makes the simulator, for `sim`. */
  readonly sim: () => Vmm;
}

/** A host that is told nothing. */
export const SELECT_DEFAULTS = {
  mode: "auto",
  uidBase: undefined,
  confinement: "auto",
  bootTimeoutMs: 60_000,
  maxBoots: 2,
  startPaths: ["warm", "template", "cold"],
  warmMemoryMb: 0,
  templateMb: 4_096,
  pool: { waiting() {}, lent() {}, hit() {}, miss() {}, template() {} },
} as const satisfies Partial<SelectOptions>;

/** Hardware boots a guest in a fraction of this; one that says nothing by then never will. */
const KVM_CANARY_MS = 3_000;
const EMULATION_CANARY_MS = 60_000;
const CHOICE = "vmm.json";
/** Above what systems give to people and services. */
const FIRST_UID = 1_000_000;
const UID_RANGES = 1024;

interface Choice {
  readonly key: string;
  readonly acceleration: Acceleration;
  readonly reason: string;
}

/**
 * Chooses the host's VMM by booting the real guest once: a /dev/kvm that opens may still be unable to run one. The choice is kept
 * until the host reboots, the guest's files or QEMU change, or another mode is asked for. Rejects when no guest boots.
 */
export async function selectVmm(options: SelectOptions): Promise<Vmm> {
  if (options.mode === "sim") return options.sim();
  mkdirSync(options.dir, { recursive: true });
  const isRoot = process.getuid?.() === 0;
  const hasUid = isRoot && options.confinement === "auto";
  const assets = loadGuestAssets(options.guestDir);
  const dirs = new VmDirs(options.dir, hasUid ? (options.uidBase ?? uidRange(options.dir)) : undefined);
  const confinement = await findConfinement(options, dirs, assets, hasUid);
  if (confinement.shortfall !== "") {
    logger.warn("VMs are not confined as they should be", { shortfall: confinement.shortfall });
  }
  const uidDirs = confinement.hasUid ? dirs : new VmDirs(options.dir, undefined);
  const base = {
    ...{ dirs: uidDirs, assets, confinement, now: wallClockUs, dir: options.dir },
    qemuVersion: confinement.qemuVersion,
  };
  const choice = readChoice(options, assets, confinement) ?? (await choose(options, base));
  logger.info("VMM chosen", { acceleration: choice.acceleration, reason: choice.reason });
  return new QemuVmm({
    ...base,
    ...limits(options),
    acceleration: choice.acceleration,
    info: describe(choice, confinement),
  });
}

/** What does not depend on the choice. */
type Base = Pick<QemuVmmOptions, "dirs" | "assets" | "confinement" | "now" | "dir" | "qemuVersion">;

async function choose(options: SelectOptions, base: Base): Promise<Choice> {
  const candidates: Acceleration[] =
    options.mode === "auto" ? ["kvm", "emulation"] : options.mode === "sim" ? [] : [options.mode];
  const findings: string[] = [];
  for (const acceleration of candidates) {
    const { ok, finding } = await canary(options, base, acceleration);
    findings.push(`${acceleration}: ${finding}`);
    if (!ok) continue;
    const key = choiceKey(options, base.assets, base.confinement);
    const choice = { key, acceleration, reason: findings.join("; ") };
    replaceFileSync(join(options.dir, CHOICE), `${JSON.stringify(choice)}\n`);
    return choice;
  }
  throw new Error(`this host cannot run VMs: ${findings.join("; ")}`);
}

async function canary(
  options: SelectOptions,
  base: Base,
  acceleration: Acceleration,
): Promise<{ ok: boolean; finding: string }> {
  if (acceleration === "kvm" && !existsSync("/dev/kvm"))
    return { ok: false, finding: "there is no /dev/kvm" };
  const bootTimeoutMs = acceleration === "kvm" ? KVM_CANARY_MS : EMULATION_CANARY_MS;
  const info: VmmInfo = describe({ key: "", acceleration, reason: "" }, base.confinement);
  const vmm = new QemuVmm({
    ...{ ...base, ...limits(options), acceleration, bootTimeoutMs, info },
    ...{ startPaths: ["cold"], warmMemoryMb: 0 },
  });
  const start = performance.now();
  try {
    await vmm.tryBoot(`canary-${acceleration}`);
    return { ok: true, finding: `guest reported after ${Math.round(performance.now() - start)} ms` };
  } catch (err) {
    return { ok: false, finding: err instanceof Error ? err.message : String(err) };
  }
}

function limits(options: SelectOptions) {
  const { bootTimeoutMs, maxBoots, startPaths, warmMemoryMb, templateMb, pool } = options;
  return { bootTimeoutMs, maxBoots, startPaths, warmMemoryMb, templateMb, metrics: pool };
}

function describe(choice: Choice, confinement: Confinement): VmmInfo {
  return {
    name: "qemu",
    acceleration: choice.acceleration,
    version: confinement.qemuVersion,
    isolation: choice.acceleration === "kvm" ? "hardware" : "development",
    reason: choice.reason,
  };
}

async function findConfinement(
  options: SelectOptions,
  dirs: VmDirs,
  assets: GuestAssets,
  isRoot: boolean,
): Promise<Confinement> {
  const { runDir, uid } = await dirs.createAnew("canary-probe");
  try {
    return await probeConfinement({ runDir, assets }, isRoot, uid, options.confinement === "none");
  } finally {
    await dirs.remove("canary-probe");
  }
}

/** What a choice depends on. */
function choiceKey(options: SelectOptions, assets: GuestAssets, confinement: Confinement): string {
  const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  const { hasNamespace, hasUid, qemuVersion } = confinement;
  return JSON.stringify([bootId, assets.hash, qemuVersion, options.mode, hasNamespace, hasUid]);
}

function readChoice(
  options: SelectOptions,
  assets: GuestAssets,
  confinement: Confinement,
): Choice | undefined {
  try {
    // Ours, written whole; an older version's has another key.
    const choice = JSON.parse(readFileSync(join(options.dir, CHOICE), "utf8")) as Choice;
    return choice.key === choiceKey(options, assets, confinement) ? choice : undefined;
  } catch {
    return undefined;
  }
}

/** Hosts on one machine should not share uids, and nobody tells them apart but by their directories. */
function uidRange(dir: string): number {
  const place = createHash("sha256").update(realpathSync(dir)).digest().readUInt16LE() % UID_RANGES;
  return FIRST_UID + place * UID_SLOTS;
}

function wallClockUs(): number {
  return (performance.timeOrigin + performance.now()) * 1_000;
}
