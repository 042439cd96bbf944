import { hash } from "node:crypto";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { logger } from "../../lib/runtime/log.ts";
import { replaceFileSync } from "../../lib/stores/durable-file.ts";
import { makePrivateFolder } from "../../lib/stores/private-folder.ts";
import { claimIsolation, isolationMissing } from "./isolation.ts";
import { NO_POOL_METRICS, type PoolMetrics } from "./pool-metrics.ts";
import type { Acceleration } from "./qemu/process/command-line.ts";
import { type Confinement, probeConfinement } from "./qemu/process/confinement.ts";
import { type GuestAssets, loadGuestAssets } from "./qemu/process/guest-assets.ts";
import { removeVm } from "./qemu/process/remove-vm.ts";
import { UID_SLOTS, VmDirs } from "./qemu/process/vm-dirs.ts";
import { QemuVmm, type QemuVmmOptions } from "./qemu/qemu-vmm.ts";
import { type TrialBoot, tryBoot } from "./qemu/trial-boot.ts";
import { SimVmm } from "./sim/sim-vmm.ts";
import type { StartPath, Vmm, VmmInfo } from "./vmm.ts";

export interface VmmSettings {
  /** `auto` tries KVM, then emulation. Default: `auto`. */
  readonly mode?: "auto" | Acceleration | "sim";
  /** The host's data directory. */
  readonly dir: string;
  /** Where guest/build has put the guest's files. */
  readonly guestDir: string;
  /** `none` runs QEMU unconfined, where nothing else works. Default: `auto`. */
  readonly confinement?: "auto" | "none";
  /** `hardware` refuses to start where VMs would be isolated less. Default: `none`. */
  readonly requireIsolation?: "none" | "hardware";
  /** The start paths to use, fastest first. Default: all. */
  readonly startPaths?: readonly StartPath[];
  /** The most memory for warm VMs. Default: 0, so there are none. */
  readonly warmMemoryMb?: number;
  /** The most disk for templates. Default: 4096. */
  readonly templateMb?: number;
  readonly metrics?: PoolMetrics;
  /** For spans of work that no machine has asked for. Default: none. */
  readonly hostName?: string;
  /** How the simulator behaves, for `sim`. */
  readonly sim?: { readonly latencyMs: number; readonly jitterMs: number };
}

const BOOT_TIMEOUT_MS = 60_000;
/** VMs that should boot, or be cloned from templates, at once. */
const MAX_BOOTS = 2;
/** Hardware boots a guest in a fraction of this. */
const KVM_CANARY_TIMEOUT_MS = 3_000;
const CHOICE_FILE = "vmm.json";
/** Above the uids of people and services. */
const FIRST_UID = 1_000_000;
const UID_RANGES = 1024;

type Options = Required<Omit<VmmSettings, "sim">>;
type Host = Pick<QemuVmmOptions, "dirs" | "assets" | "confinement">;

interface Choice {
  readonly key: string;
  readonly acceleration: Acceleration;
  readonly tscMhz?: number | undefined;
  readonly reason: string;
}

/**
 * Chooses the host's VMM by booting the guest once, as a /dev/kvm that opens may be unable to run
 * one. The choice is kept until the host reboots, or the guest's files, QEMU or the mode change.
 * Rejects when no guest boots.
 */
export async function selectVmm(settings: VmmSettings): Promise<Vmm> {
  const isRequired = settings.requireIsolation === "hardware";
  if (isRequired && (settings.mode === "sim" || settings.mode === "emulation")) {
    throw isolationMissing(`HOSTD_VMM=${settings.mode}`);
  }
  if (settings.mode === "sim") return new SimVmm({ dir: join(settings.dir, "sim"), ...settings.sim });
  const options: Options = {
    ...{ mode: "auto", confinement: "auto", requireIsolation: "none" },
    startPaths: ["warm", "template", "cold"],
    ...{ warmMemoryMb: 0, templateMb: 4_096, metrics: NO_POOL_METRICS, hostName: "" },
    ...settings,
  };
  makePrivateFolder(options.dir);
  const host = await findHost(options);
  if (host.confinement.shortfall !== "") {
    logger.warn("VMs are not confined as they should be", { shortfall: host.confinement.shortfall });
  }
  const choice = await chooseOrRefuse(options, host);
  logger.info("VMM chosen", { acceleration: choice.acceleration, reason: choice.reason });
  return makeVmm(options, host, choice);
}

/** @throws Fault ISOLATION_UNAVAILABLE when the best VMM isolates less than is required */
async function chooseOrRefuse(options: Options, host: Host): Promise<Choice> {
  const known = readChoice(options, choiceKey(options, host));
  if (options.requireIsolation === "none") return known ?? (await choose(options, host));
  const { why } = claimIsolation("kvm", host.confinement);
  if (why !== "") throw isolationMissing(why);
  if (known?.acceleration === "kvm") return known;
  return choose({ ...options, mode: "kvm" }, host).catch((err: unknown) => {
    throw isolationMissing(err instanceof Error ? err.message : String(err));
  });
}

function makeVmm(
  options: Options,
  host: Host,
  { acceleration, tscMhz, reason }: Omit<Choice, "key">,
): QemuVmm {
  const { isolation, why } = claimIsolation(acceleration, host.confinement);
  const version = host.confinement.qemuVersion;
  // Emulation is in the reason already.
  const reasons = acceleration === "kvm" && why !== "" ? `${reason}; ${why}` : reason;
  const info: VmmInfo = { name: "qemu", acceleration, version, isolation, reason: reasons };
  return new QemuVmm({
    ...{ ...options, ...host, acceleration, tscMhz },
    ...{ info, bootTimeoutMs: BOOT_TIMEOUT_MS, maxBoots: MAX_BOOTS },
  });
}

async function choose(options: Options, host: Host): Promise<Choice> {
  const candidates: readonly Acceleration[] =
    options.mode === "kvm" || options.mode === "emulation" ? [options.mode] : ["kvm", "emulation"];
  const findings: string[] = [];
  for (const acceleration of candidates) {
    try {
      const { bootMs, tscMhz } = await tryCanary(host, acceleration);
      findings.push(`${acceleration}: guest reported after ${bootMs} ms`);
      const reason = findings.join("; ");
      const choice = { key: choiceKey(options, host), acceleration, tscMhz, reason };
      replaceFileSync(join(options.dir, CHOICE_FILE), `${JSON.stringify(choice)}\n`);
      return choice;
    } catch (err) {
      findings.push(`${acceleration}: ${err instanceof Error ? err.message : String(err)}`);
    }
  }
  throw new Error(`this host cannot run VMs: ${findings.join("; ")}`);
}

function tryCanary(host: Host, acceleration: Acceleration): Promise<TrialBoot> {
  if (acceleration === "kvm" && !existsSync("/dev/kvm")) throw new Error("there is no /dev/kvm");
  const timeoutMs = acceleration === "kvm" ? KVM_CANARY_TIMEOUT_MS : BOOT_TIMEOUT_MS;
  return tryBoot({ ...host, acceleration }, `canary-${acceleration}`, timeoutMs);
}

async function findHost({ dir, guestDir, confinement: mode }: Options): Promise<Host> {
  const assets = loadGuestAssets(guestDir);
  const canHaveUids = process.getuid?.() === 0 && mode === "auto";
  const dirs = new VmDirs(dir, canHaveUids ? firstUid(dir) : undefined);
  const confinement = await probe(dirs, assets, canHaveUids, mode === "none");
  return { dirs: confinement.hasUid ? dirs : new VmDirs(dir, undefined), assets, confinement };
}

async function probe(
  dirs: VmDirs,
  assets: GuestAssets,
  canHaveUids: boolean,
  isDisabled: boolean,
): Promise<Confinement> {
  const id = "canary-probe";
  await removeVm(dirs, id);
  const { runDir, uid } = dirs.create(id);
  try {
    return await probeConfinement({ runDir, assets }, canHaveUids, uid, isDisabled);
  } finally {
    await dirs.remove(id);
  }
}

/** Makes a key of all that a choice depends on. */
function choiceKey({ mode }: Options, { assets, confinement }: Host): string {
  const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  const { hasNamespace, hasUid, qemuVersion } = confinement;
  return JSON.stringify([bootId, assets.hash, qemuVersion, mode, hasNamespace, hasUid]);
}

function readChoice({ dir }: Options, key: string): Choice | undefined {
  try {
    // Written by `choose`; other versions have other keys.
    const choice = JSON.parse(readFileSync(join(dir, CHOICE_FILE), "utf8")) as Choice;
    return choice.key === key ? choice : undefined;
  } catch {
    return undefined;
  }
}

/** Picks a range of uids by the data directory, as a machine may have several hosts. */
function firstUid(dir: string): number {
  const range = Buffer.from(hash("sha256", realpathSync(dir)), "hex").readUInt16LE() % UID_RANGES;
  return FIRST_UID + range * UID_SLOTS;
}
