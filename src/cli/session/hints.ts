import type { Fault } from "../../lib/faults/fault.ts";
import type { Settings } from "./settings.ts";

/** What a command works on. */
export interface Subject {
  readonly app?: string | undefined;
  readonly machine?: string | undefined;
  readonly org?: string | undefined;
}

type Hint = (about: Required<{ [K in keyof Subject]: string }>, fault: Fault) => string;

const doctor: Hint = () => "hover doctor";
const hosts: Hint = () => "hover host list";
const status: Hint = ({ machine }) => `hover machine status ${machine}`;
const logs: Hint = ({ machine }) => `hover machine logs ${machine}`;
const org: Hint = (about) => `hover org show ${about.org}`;
const newToken: Hint = (about) => `hover token create --org ${about.org}`;

/** The next command, by the reason of a fault. */
const NEXT: Readonly<Record<string, Hint>> = {
  APP_NOT_FOUND: ({ app }) => `hover app create ${app}`,
  APP_NAME_TAKEN: () => "hover app list   (app names are unique across organisations)",
  APP_NOT_EMPTY: ({ app }) => `hover app destroy ${app} --force`,
  ORG_NOT_FOUND: () => "hover org list",
  ORG_SLUG_TAKEN: org,
  ORG_PAST_DUE: org,
  ORG_BANNED: org,
  QUOTA_MACHINES: (about) => `hover org set-quota ${about.org} --machines N`,
  QUOTA_MEMORY: (about) => `hover org set-quota ${about.org} --memory 128gb`,
  MACHINE_NOT_FOUND: () => "hover machine list",
  MACHINE_NAME_TAKEN: ({ app }) => `hover machine list -a ${app}`,
  MACHINE_RUNNING: ({ machine }) => `hover machine destroy --force ${machine}`,
  CREATE_NOT_FOUND: () => "hover machine list",
  REGION_UNKNOWN: hosts,
  NO_CAPACITY: hosts,
  INSUFFICIENT_CAPACITY: hosts,
  HOST_UNREACHABLE: hosts,
  HOST_UNKNOWN: hosts,
  AUCTION_QUEUE_FULL: hosts,
  NO_FREE_PORT: hosts,
  HOST_DRAINING: (_about, { facts }) => `hover host uncordon ${facts["host_number"] ?? "HOST"}`,
  INVALID_STATE: status,
  STATE_UNREACHABLE: status,
  WAIT_TIMEOUT: status,
  EXEC_FAILED: logs,
  START_FAILED: ({ machine }) => `hover trace ${machine}`,
  START_TIMEOUT: ({ machine }) => `hover trace ${machine}`,
  REGISTRY_UNAVAILABLE: doctor,
  IMAGECACHE_UNAVAILABLE: doctor,
  REDIS_UNAVAILABLE: doctor,
  NO_HOSTS: doctor,
  DISK_FULL: doctor,
  SERVER_DRAINING: doctor,
  CREATE_TIMEOUT: doctor,
  MACHINE_DESTROYED: () => "hover machine list",
  REQUEST_ID_REUSED: () => "hover machine list",
  SCHEDULER_UNAVAILABLE: doctor,
  DATABASE_UNAVAILABLE: doctor,
  PEER_UNAVAILABLE: doctor,
  DEADLINE_EXCEEDED: doctor,
  HOST_TOO_SLOW: hosts,
  START_QUEUE_FULL: hosts,
  TOKEN_EXPIRED: newToken,
  SCOPE_MISSING: newToken,
};

/** Suggests commands to type after a failure, the most helpful first. */
export function nextSteps(fault: Fault, subject: Subject, settings: Settings): readonly string[] {
  if (isApiAway(fault, settings)) return [`npm run up   (in ${settings.root})`, "hover doctor"];
  if (fault.reason === "TOKEN_MISSING" || fault.reason === "TOKEN_INVALID") {
    return [`npm run up   (in ${settings.root}; it writes ${settings.dir}/token)`, "hover doctor"];
  }
  const about = {
    app: subject.app ?? fault.facts["app"] ?? "NAME",
    machine: subject.machine ?? fault.facts["machine_id"] ?? fault.facts["machine"] ?? "ID",
    org: subject.org ?? fault.facts["org"] ?? "ORG",
  };
  const hint = NEXT[fault.reason]?.(about, fault);
  return hint === undefined ? [] : [hint];
}

/** Whether the API itself does not answer, rather than a service behind it. */
export function isApiAway(fault: Fault, settings: Settings): boolean {
  return fault.reason === "PEER_UNAVAILABLE" && fault.facts["address"] === settings.api.value;
}

/** Adds to the message of a fault: where an address or the token came from, when to try again. */
export function remarks(fault: Fault, settings: Settings): readonly string[] {
  const lines: string[] = [];
  if (isApiAway(fault, settings)) lines.push(`the API's address came from ${settings.api.from}`);
  if (fault.reason.startsWith("TOKEN_")) {
    const looked = settings.tokenPlaces.map(
      ({ place, token }) => `${place} (${token ? "used" : "nothing there"})`,
    );
    lines.push(`the token was looked for in ${looked.join(", ")}`);
  }
  if (fault.retryAfterMs !== undefined) lines.push(`try again in ${Math.ceil(fault.retryAfterMs / 1_000)} s`);
  const known = fault.facts["known"];
  if (fault.reason === "REGION_UNKNOWN" && known !== undefined)
    lines.push(
      `machines can be placed in ${known.replaceAll(",", ", ")}, or any of several: any, eu, us, ...`,
    );
  const trace = fault.facts["trace_id"];
  if (trace !== undefined) lines.push(`hover trace ${trace} shows how far it got`);
  return lines;
}

const FLAGS: Readonly<Record<string, string>> = {
  app: "-a",
  name: "--name",
  region: "--region",
  "placement.host_labels": "--host-label",
  "placement.host_number": "--on-host",
  "placement.strategy": "--pack",
  "config.image": "the image",
  "config.guest.memory_mb": "--vm-memory",
  "config.guest.cpus": "--vm-cpus",
  "config.guest.cpu_kind": "--vm-cpu-kind",
  "config.env": "-e",
  "config.services": "-p",
  "config.metadata": "-m",
  "config.init.entrypoint": "--entrypoint",
  "config.init.user": "--user",
  "config.init.working_dir": "--workdir",
  "config.init.cmd": "the command",
  "config.stop_config.signal": "--signal",
  "config.stop_config.timeout": "--timeout",
  "quota.machines": "--machines",
  "quota.memory_mb": "--memory",
  scopes: "--scope",
  ttl_seconds: "--ttl",
};

/** Finds the flag that sets a field of a request. */
export function flagOf(field: string): string | undefined {
  const plain = field.replace(/\[[^\]]*\]/g, "");
  for (let path = plain; path !== ""; path = path.slice(0, Math.max(0, path.lastIndexOf(".")))) {
    if (FLAGS[path]) return FLAGS[path];
  }
  return undefined;
}
