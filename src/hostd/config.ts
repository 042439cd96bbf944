import { statfsSync } from "node:fs";
import { cpus, hostname, totalmem } from "node:os";
import { join } from "node:path";
import { auditSettings } from "../lib/audit/audit-log.ts";
import { auditVariables } from "../lib/config/audit-variables.ts";
import {
  address,
  duration,
  type Env,
  flag,
  integer,
  list,
  oneOf,
  parsed,
  readEnv,
  showConfig,
  text,
} from "../lib/config/config.ts";
import { edgeVariables, readEdge } from "../lib/config/edge-variables.ts";
import { common, IMAGECACHE_SOCKET, LOG_LEVEL, TOKEN_KEYS_DIR } from "../lib/config/variables.ts";
import { makePrivateFolder } from "../lib/stores/private-folder.ts";
import type { PortRange } from "./capacity/ports.ts";

/** vCPUs per CPU of the box: machines are idle most of the time. */
const CPU_OVERCOMMIT = 4;
/** The rest is for kernel, hostd, image cache, and QEMU's own memory. */
const SHARE_FOR_MACHINES = 0.8;
/** Of HOSTD_MEMORY_MB, for warm VMs; at most MAX_WARM_MB. */
const WARM_SHARE = 0.25;
const MAX_WARM_MB = 4_096;
const MAX_MB = 2 ** 31 - 1;
const START_PATHS = ["warm", "template", "cold"] as const;
const MB = 1_024 * 1_024;

export const variables = {
  HOSTD_LISTEN: common.listen("127.0.0.1:7101"),
  HOSTD_ADDRESS: address()
    .optional()
    .meta({ defaultText: "HOSTD_LISTEN" })
    .describe("Address at which apis reach it, when that is not HOSTD_LISTEN."),
  HOSTD_NUMBER: integer(0, 2 ** 20 - 1).describe(
    "Number of the host, unique in the world: the first five hex digits of its machines' ids.",
  ),
  HOSTD_NAME: text()
    .prefault(hostname())
    .meta({ defaultText: "the host name of the box" })
    .describe("Name of the host, for people."),
  HOSTD_REGION: text().describe("Region of the host."),
  HOSTD_ZONE: text().prefault("a").describe("Failure zone within the region."),
  HOSTD_LABELS: parsed(parseLabels)
    .meta({ kind: "key=value, ..." })
    .prefault("")
    .describe("Labels that placement constraints of creates may ask for."),
  HOSTD_DIR: text().describe("Folder of its state, logs and VMs."),
  HOSTD_SEALING_KEY_DIR: text()
    .optional()
    .meta({ defaultText: "keys in HOSTD_DIR" })
    .describe(
      "Folder of the keys that encrypt the machines' configurations on its disk. Made with a first key; back it up apart from HOSTD_DIR.",
    ),
  HOSTD_SCHEDULERS: list(address()).prefault("").describe("All scheduler replicas of the region."),
  HOSTD_APIS: list(address()).prefault("").describe("Apis to report to."),
  HOSTD_APIS_REST: list(address())
    .prefault("")
    .describe(
      "REST addresses of apis, nearest first, to which requests of programs about other machines of their app are passed on. Without any, they are answered 503.",
    ),
  HOSTD_IMAGECACHE: address().prefault(IMAGECACHE_SOCKET).describe("The image cache beside it."),
  HOSTD_CPUS: integer(1, 65_536)
    .prefault(cpus().length * CPU_OVERCOMMIT)
    .meta({ defaultText: "4 for each CPU of the box" })
    .describe("vCPUs that it may promise."),
  HOSTD_MEMORY_MB: integer(64, MAX_MB)
    .prefault(Math.floor((totalmem() / MB) * SHARE_FOR_MACHINES))
    .meta({ defaultText: "80 % of the box" })
    .describe("Memory that it may promise, in MiB. Never overcommitted."),
  HOSTD_DISK_MB: integer(64, MAX_MB)
    .optional()
    .meta({ defaultText: "80 % of the file system of HOSTD_DIR" })
    .describe("Disk that it may promise, in MiB."),
  HOSTD_VMM: oneOf(["auto", "kvm", "emulation", "sim"])
    .prefault("auto")
    .describe(
      "`auto`: KVM when a guest really boots with it, else emulation. `sim`: no VMs at all, for tests.",
    ),
  HOSTD_GUEST_DIR: text()
    .prefault("guest")
    .describe("Folder of the guest's kernel, initramfs and scratch disk, as set-up makes it."),
  HOSTD_CONFINEMENT: oneOf(["auto", "none"])
    .prefault("auto")
    .describe("`none`: QEMU runs as hostd's own user, where nothing else works."),
  HOSTD_REQUIRE_ISOLATION: oneOf(["none", "hardware"])
    .prefault("none")
    .describe(
      "`hardware`: does not start unless VMs run on KVM, each confined with a uid and a mount namespace of its own.",
    ),
  HOSTD_START_PATHS: list(oneOf(START_PATHS))
    .prefault(START_PATHS.join())
    .describe("Start paths that may be taken. They are tried in the order warm, template, cold."),
  HOSTD_WARM_MEMORY_MB: integer(0, MAX_MB)
    .optional()
    .meta({ defaultText: `a quarter of HOSTD_MEMORY_MB, at most ${MAX_WARM_MB}` })
    .describe("Memory for warm VMs, in MiB; machines take it back when they need it. 0: no warm VMs."),
  HOSTD_TEMPLATE_MB: integer(0, MAX_MB)
    .prefault(4_096)
    .describe("Disk for templates that VMs are made from, in MiB."),
  HOSTD_PORT_RANGE: parsed(parsePortRange)
    .meta({ kind: "from-to" })
    .prefault("20000-29999")
    .describe("Ports of the host for the machines' services."),
  HOSTD_STOP_VMS_ON_EXIT: flag()
    .prefault("false")
    .describe(
      "Whether machines are stopped when hostd ends. Otherwise their VMs go on, and the next hostd takes them over.",
    ),
  HOSTD_LOG_KB: integer(64, 1_048_576)
    .prefault(1_024)
    .describe("Log lines kept of each machine, in KiB on disk."),
  HOSTD_ORG_LOG_KB: integer(64, MAX_MB)
    .prefault(262_144)
    .describe("Log lines kept of all machines of an organisation, in KiB on disk."),
  HOSTD_HOLD_GRACE: duration("0s", "1m")
    .prefault("1s")
    .describe("How long a hold outlives its reservation: the clocks of host and Redis may differ by it."),
  HOSTD_START_CONCURRENCY: integer(1, 1_024).prefault(4).describe("Starts that run at once."),
  HOSTD_START_TIMEOUT: duration().prefault("90s").describe("Longest launch."),
  HOSTD_GRACE: common.grace("5s"),
  HOSTD_WARM_UP_CALLS: integer(0, 1_000_000)
    .prefault(5_000)
    .describe(
      "Calls of itself after it has started, so that its first starts are as fast as later ones. 0: none.",
    ),
  HOSTD_METRICS_LISTEN: common.metricsListen(),
  HOSTD_AUDIT_DIR: common.auditDir("`audit` in `HOSTD_DIR`"),
  HOSTD_LOG_LEVEL: common.logLevel(),
  HOSTD_SIM_LATENCY: duration("0s", "10m")
    .prefault("0s")
    .describe("How long a simulated launch takes. With `HOSTD_VMM=sim` only."),
  HOSTD_SIM_JITTER: duration("0s", "10m")
    .prefault("0s")
    .describe("Most that a simulated launch takes longer, at random."),
  ...edgeVariables,
  ...{ LOG_LEVEL, ...auditVariables, TOKEN_KEYS_DIR },
};

export type HostdConfig = ReturnType<typeof readConfig>;

/** Reads the configuration and makes HOSTD_DIR. @throws ConfigError with all violations */
export function readConfig(env: Env) {
  const values = readEnv(env, variables);
  makePrivateFolder(values.HOSTD_DIR);
  const warmMemoryMb =
    values.HOSTD_WARM_MEMORY_MB ?? Math.min(MAX_WARM_MB, Math.floor(values.HOSTD_MEMORY_MB * WARM_SHARE));
  const capacity = {
    cpus: values.HOSTD_CPUS,
    memoryMb: values.HOSTD_MEMORY_MB,
    diskMb: values.HOSTD_DISK_MB ?? diskMb(values.HOSTD_DIR),
  };
  return {
    listen: values.HOSTD_LISTEN,
    address: values.HOSTD_ADDRESS,
    number: values.HOSTD_NUMBER,
    name: values.HOSTD_NAME,
    region: values.HOSTD_REGION,
    zone: values.HOSTD_ZONE,
    labels: values.HOSTD_LABELS,
    dir: values.HOSTD_DIR,
    sealingKeyDir: values.HOSTD_SEALING_KEY_DIR ?? join(values.HOSTD_DIR, "keys"),
    schedulers: values.HOSTD_SCHEDULERS,
    apis: values.HOSTD_APIS,
    apisRest: values.HOSTD_APIS_REST,
    imagecache: values.HOSTD_IMAGECACHE,
    capacity,
    vmm: {
      mode: values.HOSTD_VMM,
      dir: values.HOSTD_DIR,
      guestDir: values.HOSTD_GUEST_DIR,
      confinement: values.HOSTD_CONFINEMENT,
      requireIsolation: values.HOSTD_REQUIRE_ISOLATION,
      startPaths: START_PATHS.filter((startPath) => values.HOSTD_START_PATHS.includes(startPath)),
      warmMemoryMb,
      templateMb: values.HOSTD_TEMPLATE_MB,
      sim: { latencyMs: values.HOSTD_SIM_LATENCY, jitterMs: values.HOSTD_SIM_JITTER },
    },
    portRange: values.HOSTD_PORT_RANGE,
    stopVmsOnExit: values.HOSTD_STOP_VMS_ON_EXIT,
    logKb: values.HOSTD_LOG_KB,
    orgLogKb: values.HOSTD_ORG_LOG_KB,
    holdGraceMs: values.HOSTD_HOLD_GRACE,
    startConcurrency: values.HOSTD_START_CONCURRENCY,
    startTimeoutMs: values.HOSTD_START_TIMEOUT,
    graceMs: values.HOSTD_GRACE,
    warmUpCalls: values.HOSTD_WARM_UP_CALLS,
    metricsListen: values.HOSTD_METRICS_LISTEN,
    logLevel: values.HOSTD_LOG_LEVEL ?? values.LOG_LEVEL,
    keysDir: values.TOKEN_KEYS_DIR,
    edge: readEdge(values),
    audit: auditSettings(values, values.HOSTD_AUDIT_DIR ?? join(values.HOSTD_DIR, "audit")),
    show: () =>
      showConfig(variables, env, {
        HOSTD_ADDRESS: values.HOSTD_LISTEN,
        HOSTD_DISK_MB: String(capacity.diskMb),
        HOSTD_WARM_MEMORY_MB: String(warmMemoryMb),
      }),
  };
}

function diskMb(dir: string): number {
  const { blocks, bsize } = statfsSync(dir);
  return Math.floor(((blocks * bsize) / MB) * SHARE_FOR_MACHINES);
}

const MAX_LABELS = 64;
const LABEL = /^([a-z0-9][a-z0-9._/-]{0,62})=(.{0,63})$/;

function parseLabels(raw: string): Readonly<Record<string, string>> {
  const found = new Map<string, string>();
  for (const part of raw.split(",").map((each) => each.trim())) {
    if (part === "") continue;
    const [, key, value] = LABEL.exec(part) ?? [];
    if (key === undefined || value === undefined)
      throw new Error(`must be key=value,... with keys like disk or gpu/model, not "${part}"`);
    if (found.has(key)) throw new Error(`names ${key} twice`);
    found.set(key, value);
  }
  if (found.size > MAX_LABELS) throw new Error(`must be at most ${MAX_LABELS} labels`);
  return Object.fromEntries(found);
}

function parsePortRange(raw: string): PortRange {
  const [, first, last] = /^(\d{1,5})-(\d{1,5})$/.exec(raw) ?? [];
  const from = Number(first);
  const to = Number(last);
  if (!(from >= 1 && from <= to && to <= 65_535))
    throw new Error(`must be from-to, e.g. 20000-29999, not "${raw}"`);
  return { from, to };
}
