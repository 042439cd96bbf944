import { mkdirSync, statfsSync } from "node:fs";
import { cpus, hostname, totalmem } from "node:os";
import {
  address,
  duration,
  flag,
  integer,
  list,
  oneOf,
  optional,
  type Reader,
  readEnv,
  showConfig,
  text,
} from "../lib/runtime/config.ts";
import type { PortRange } from "./capacity/ports.ts";

/** vCPUs promised for each real one: machines are idle most of the time, as shared CPUs anywhere. */
const CPU_OVERCOMMIT = 4;
/** What is left to the host itself: the kernel, hostd, the image cache, QEMU's own memory beside the guests'. */
const SHARE_FOR_MACHINES = 0.8;
/** Of what it may promise, for VMs that wait; and no more than this many MB. */
const WARM_SHARE = 0.25;
const MAX_WARM_MB = 4_096;
const START_PATHS = ["warm", "template", "cold"] as const;
const MB = 1_024 * 1_024;

const spec = {
  /** Where to serve gRPC. */
  HOSTD_LISTEN: address("127.0.0.1:7101"),
  /** Where apis reach that; default: where it listens. */
  HOSTD_ADDRESS: optional(address()),
  /** Number of the host, unique in the world: the first five hex digits of its machines' ids. */
  HOSTD_NUMBER: integer(0, 2 ** 20 - 1),
  /** Name of the host; default: the machine's host name. */
  HOSTD_NAME: text(hostname()),
  HOSTD_REGION: text(),
  /** Failure zone within the region. */
  HOSTD_ZONE: text("a"),
  /** Where its state, logs and VMs are. */
  HOSTD_DIR: text(),
  /** What constraints of creates may ask for: `key=value,...`. */
  HOSTD_LABELS: labels(),
  /** All scheduler replicas of the region. */
  HOSTD_SCHEDULERS: list(address(), []),
  /** The apis to report to. */
  HOSTD_APIS: list(address(), []),
  /** The image cache beside it. */
  HOSTD_IMAGECACHE: address(),
  /** vCPUs it may promise; default: four for each real one. */
  HOSTD_CPUS: integer(1, 65_536, cpus().length * CPU_OVERCOMMIT),
  /** Memory it may promise, in MB; default: 80 % of what there is. Never overcommitted. */
  HOSTD_MEMORY_MB: integer(64, 2 ** 31 - 1, Math.floor((totalmem() / MB) * SHARE_FOR_MACHINES)),
  /** Disk it may promise, in MB; default: 80 % of the file system of HOSTD_DIR. */
  HOSTD_DISK_MB: optional(integer(64, 2 ** 31 - 1)),
  /** `auto`: KVM when a guest really boots with it, else emulation. `sim`: no VMs at all, for tests. */
  HOSTD_VMM: oneOf(["auto", "kvm", "emulation", "sim"], "auto"),
  /** Kernel, initramfs and init of the guest, as the set-up has put them. */
  HOSTD_GUEST_DIR: text("guest"),
  /** `none` runs QEMU as we are, where nothing else works. */
  HOSTD_CONFINEMENT: oneOf(["auto", "none"], "auto"),
  /** The ways to a running guest that may be taken, tried in the order warm, template, cold. */
  HOSTD_START_PATHS: list(oneOf(START_PATHS), START_PATHS),
  /** Memory lent to VMs that wait for a machine, in MB; 0: none wait. Default: a quarter of what it may promise, at most 4096. */
  HOSTD_WARM_MEMORY_MB: optional(integer(0, 2 ** 31 - 1)),
  /** Disk for templates that VMs are made from, in MB. */
  HOSTD_TEMPLATE_MB: integer(0, 2 ** 31 - 1, 4_096),
  /** Host ports for the machines' services, `from-to`. */
  HOSTD_PORT_RANGE: portRange({ from: 20_000, to: 29_999 }),
  /** Whether machines are stopped when hostd is told to end. Default: their VMs go on, and the next hostd takes them over. */
  HOSTD_STOP_VMS_ON_EXIT: flag(false),
  /** Log lines kept of each machine, in KB on disk. */
  HOSTD_LOG_KB: integer(64, 1_048_576, 1_024),
  /** How long a hold outlives its reservation's TTL: what the two clocks may differ by. */
  HOSTD_HOLD_GRACE_MS: integer(0, 60_000, 1_000),
  /** Starts that run at once. */
  HOSTD_START_CONCURRENCY: integer(1, 1_024, 4),
  /** How long a launch may take. */
  HOSTD_START_TIMEOUT: duration("90s"),
  /** How long calls may take to finish at shutdown. */
  HOSTD_GRACE: duration("5s"),
  /** Calls of itself after it has started, so that its first starts are as fast as later ones; 0: none. */
  HOSTD_WARM_UP_CALLS: integer(0, 1_000_000, 5_000),
  /** Where to serve metrics; unset: nowhere. */
  HOSTD_METRICS_LISTEN: optional(address()),
  /** How long a simulated launch takes, and up to how much more by chance, in milliseconds. */
  HOSTD_SIM_LATENCY_MS: integer(0, 600_000, 0),
  HOSTD_SIM_JITTER_MS: integer(0, 600_000, 0),
  /** Public key that tokens are verified with, PEM. */
  TOKEN_PUBLIC_KEY_FILE: text(),
  /** Private key that its own tokens are made with, PEM. */
  TOKEN_SIGNING_KEY_FILE: text(),
};

/** What hostd is told by its environment. */
export type HostdConfig = ReturnType<typeof readConfig>;

/**
 * Reads what hostd is told by its environment. Makes HOSTD_DIR.
 *
 * @throws ConfigError with every problem
 */
export function readConfig(env: NodeJS.ProcessEnv) {
  const config = readEnv(env, spec);
  mkdirSync(config.HOSTD_DIR, { recursive: true, mode: 0o755 });
  const warmMemoryMb =
    config.HOSTD_WARM_MEMORY_MB ?? Math.min(MAX_WARM_MB, Math.floor(config.HOSTD_MEMORY_MB * WARM_SHARE));
  const capacity = {
    cpus: config.HOSTD_CPUS,
    memoryMb: config.HOSTD_MEMORY_MB,
    diskMb: config.HOSTD_DISK_MB ?? diskMb(config.HOSTD_DIR),
  };
  return {
    listen: config.HOSTD_LISTEN,
    address: config.HOSTD_ADDRESS,
    number: config.HOSTD_NUMBER,
    name: config.HOSTD_NAME,
    region: config.HOSTD_REGION,
    zone: config.HOSTD_ZONE,
    labels: config.HOSTD_LABELS.labels,
    dir: config.HOSTD_DIR,
    schedulers: config.HOSTD_SCHEDULERS,
    apis: config.HOSTD_APIS,
    imagecache: config.HOSTD_IMAGECACHE,
    capacity,
    vmm: {
      mode: config.HOSTD_VMM,
      dir: config.HOSTD_DIR,
      guestDir: config.HOSTD_GUEST_DIR,
      confinement: config.HOSTD_CONFINEMENT,
      startPaths: START_PATHS.filter((startPath) => config.HOSTD_START_PATHS.includes(startPath)),
      warmMemoryMb,
      templateMb: config.HOSTD_TEMPLATE_MB,
      sim: { latencyMs: config.HOSTD_SIM_LATENCY_MS, jitterMs: config.HOSTD_SIM_JITTER_MS },
    },
    portRange: config.HOSTD_PORT_RANGE,
    stopVmsOnExit: config.HOSTD_STOP_VMS_ON_EXIT,
    logKb: config.HOSTD_LOG_KB,
    holdGraceMs: config.HOSTD_HOLD_GRACE_MS,
    startConcurrency: config.HOSTD_START_CONCURRENCY,
    startTimeoutMs: config.HOSTD_START_TIMEOUT,
    graceMs: config.HOSTD_GRACE,
    warmUpCalls: config.HOSTD_WARM_UP_CALLS,
    metricsListen: config.HOSTD_METRICS_LISTEN,
    publicKeyFile: config.TOKEN_PUBLIC_KEY_FILE,
    signingKeyFile: config.TOKEN_SIGNING_KEY_FILE,
    shown: showConfig(spec, {
      ...config,
      HOSTD_DISK_MB: capacity.diskMb,
      HOSTD_WARM_MEMORY_MB: warmMemoryMb,
    }),
  };
}

function diskMb(dir: string): number {
  const { blocks, bsize } = statfsSync(dir);
  return Math.floor(((blocks * bsize) / MB) * SHARE_FOR_MACHINES);
}

/** As many as a create may ask for, four times over. */
const MAX_LABELS = 64;
const LABEL = /^([a-z0-9][a-z0-9._/-]{0,62})=(.{0,63})$/;

function labels(): Reader<{ readonly labels: Readonly<Record<string, string>>; toString(): string }> {
  const of = (found: Readonly<Record<string, string>>) => ({
    labels: found,
    toString: () =>
      Object.entries(found)
        .map(([key, value]) => `${key}=${value}`)
        .join(","),
  });
  return {
    parse(raw) {
      const found: Record<string, string> = {};
      for (const part of raw.split(",").map((each) => each.trim())) {
        if (part === "") continue;
        const [, key, value] = LABEL.exec(part) ?? [];
        if (key === undefined || value === undefined)
          throw new Error(`must be key=value,... with keys like disk or gpu/model, not "${part}"`);
        if (key in found) throw new Error(`names ${key} twice`);
        found[key] = value;
      }
      if (Object.keys(found).length > MAX_LABELS) throw new Error(`must be at most ${MAX_LABELS} labels`);
      return of(found);
    },
    fallback: { value: of({}) },
  };
}

function portRange(fallback: PortRange): Reader<PortRange & { toString(): string }> {
  const range = ({ from, to }: PortRange) => ({ from, to, toString: () => `${from}-${to}` });
  return {
    parse(raw) {
      const [, first, last] = /^(\d{1,5})-(\d{1,5})$/.exec(raw) ?? [];
      const from = Number(first);
      const to = Number(last);
      if (!(from >= 1 && from <= to && to <= 65_535))
        throw new Error(`must be from-to, e.g. 20000-29999, not "${raw}"`);
      return range({ from, to });
    },
    fallback: { value: range(fallback) },
  };
}
