import type { Fault } from "../../../lib/faults/fault.ts";
import type { Settings } from "../settings.ts";

export interface Subject {
  readonly app?: string | undefined;
  readonly machine?: string | undefined;
  readonly org?: string | undefined;
}

type Hint = (about: Required<{ [K in keyof Subject]: string }>, fault: Fault) => string;

const newToken: Hint = ({ org }) => `hover token create --org ${org}`;
const ofOrg: Hint = ({ org }) => `hover org show ${org}`;
const ofTrace: Hint = ({ machine }) => `hover trace ${machine}`;

/** The next command, by the reason of a fault. */
const NEXT: Readonly<Record<string, Hint>> = {
  APP_NOT_FOUND: ({ app }) => `hover app create ${app}`,
  APP_NAME_TAKEN: () => "hover app list   (app names are unique across organisations)",
  APP_NOT_EMPTY: ({ app }) => `hover app destroy ${app} --force`,
  ...each(
    ({ app }) => `hover app hostname list -a ${app}`,
    ...["HOSTNAME_NOT_FOUND", "HOSTNAME_TAKEN", "TOO_MANY_HOSTNAMES"],
  ),
  ORG_NOT_FOUND: () => "hover org list",
  ...each(ofOrg, "ORG_SLUG_TAKEN", "ORG_PAST_DUE", "ORG_BANNED"),
  QUOTA_MACHINES: ({ org }) => `hover org update ${org} --machines N`,
  QUOTA_MEMORY: ({ org }) => `hover org update ${org} --memory 128gb`,
  QUOTA_IMAGES: ({ org }) => `hover org update ${org} --images 2tb`,
  RATE_LIMITED: ({ org }, { facts }) =>
    `hover org update ${org} --rate ${facts["action"] ?? "ACTION"}=N:BURST`,
  CREATES_IN_PROGRESS: ({ org }) => `hover org update ${org} --creates N`,
  ...each(() => "hover machine list", "MACHINE_NOT_FOUND", "CREATE_NOT_FOUND"),
  ...each(() => "hover machine list", "NO_STEP_WORKED", "ACQUIRE_TIMEOUT"),
  REST_UNAVAILABLE: () => "hover doctor",
  ...each(() => "hover machine list", "MACHINE_DESTROYED", "REQUEST_ID_REUSED", "IMAGE_SHARE_EXCEEDED"),
  MACHINE_NAME_TAKEN: ({ app }) => `hover machine list -a ${app}`,
  MACHINE_RUNNING: ({ machine }) => `hover machine destroy --force ${machine}`,
  REGION_UNKNOWN: () => "hover platform regions",
  ...each(() => "hover host list", "NO_CAPACITY", "INSUFFICIENT_CAPACITY", "NO_FREE_PORT"),
  ...each(() => "hover host list", "HOST_UNREACHABLE", "HOST_UNKNOWN", "HOST_TOO_SLOW"),
  ...each(() => "hover host list", "AUCTION_QUEUE_FULL", "START_QUEUE_FULL"),
  HOST_DRAINING: (_about, { facts }) => `hover host uncordon ${facts["host_number"] ?? "HOST"}`,
  ...each(
    ({ machine }) => `hover machine status ${machine}`,
    ...[
      "INVALID_STATE",
      "MACHINE_BUSY",
      "STATE_UNREACHABLE",
      "WAIT_TIMEOUT",
      "EXEC_INTERRUPTED",
      "SIGNAL_FAILED",
    ],
  ),
  LEASE_HELD: ({ machine }) => `hover machine leases view ${machine}`,
  LEASE_NOT_FOUND: ({ machine }) => `hover machine leases acquire ${machine}`,
  ...each(({ machine }) => `hover machine versions ${machine}`, "VERSION_MISMATCH", "REPLACED"),
  AUTO_DESTROY: ({ machine }) => `hover machine clone ${machine}`,
  SUSPEND_NOT_SUPPORTED: ({ machine }) => `hover machine stop ${machine}`,
  EXEC_TIMEOUT: ({ machine }) => `hover machine exec --timeout 10m ${machine} ...`,
  POSITION_TOO_OLD: () => "hover watch   (without --after)",
  ...each(({ machine }) => `hover machine logs ${machine}`, "ROLLED_BACK"),
  EXEC_FAILED: ({ machine }) => `hover machine logs ${machine}`,
  TOO_MANY_EXECS: ({ machine }) => `hover machine ps ${machine}`,
  ...each(ofTrace, "START_FAILED", "START_TIMEOUT"),
  TRACE_NOT_FOUND: (_about, { facts }) => {
    const { machine, of } = facts;
    if (machine === undefined) return "hover machine list";
    return of === "create" ? `hover trace ${machine}` : `hover machine start ${machine}`;
  },
  ...each(() => "hover doctor", "REGISTRY_UNAVAILABLE", "IMAGECACHE_UNAVAILABLE", "REDIS_UNAVAILABLE"),
  ...each(() => "hover doctor", "SCHEDULER_UNAVAILABLE", "DATABASE_UNAVAILABLE", "PEER_UNAVAILABLE"),
  ...each(
    () => "hover doctor",
    "NO_HOSTS",
    "DISK_FULL",
    "BUILD_NOT_STARTED",
    "SERVER_DRAINING",
    "SIGNING_KEY_MISSING",
  ),
  ...each(() => "hover doctor", "CREATE_TIMEOUT", "DEADLINE_EXCEEDED", "RECEIVER_UNAVAILABLE"),
  ...each(() => "hover doctor", "CONSOLE_UNAVAILABLE", "TRACES_UNAVAILABLE"),
  ...each(() => "hover doctor", "DATABASE_BUSY", "DATABASE_TIMEOUT", "TOKEN_QUEUE_FULL"),
  ...each(
    (_about, { facts }) => `hover registry login ${facts["registry"] ?? "REGISTRY"}`,
    ...["REGISTRY_UNAUTHORIZED", "REGISTRY_RATE_LIMITED"],
  ),
  ...each(() => "hover registry list", "REGISTRY_NOT_FOUND", "TOO_MANY_REGISTRIES"),
  ...each(newToken, "TOKEN_EXPIRED", "TOKEN_REVOKED", "SCOPE_MISSING"),
  TOKEN_RESTRICTED: () => "hover token inspect",
  // Of a key that signs tokens, or of an acquire.
  KEY_IN_USE: (_about, { code }) =>
    code === "ABORTED" ? "the same command again: its key gets the same machine" : "hover key list",
  KEY_UNKNOWN: () => "hover key list",
  KEY_REUSED: () => "hover acquire --key ANOTHER ...",
};

function each(hint: Hint, ...reasons: readonly string[]): Record<string, Hint> {
  return Object.fromEntries(reasons.map((reason) => [reason, hint]));
}

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
  const hint = Object.hasOwn(NEXT, fault.reason) ? NEXT[fault.reason]?.(about, fault) : undefined;
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
  for (const [name, reason] of Object.entries(fault.facts)) {
    const step = /^reason_(\d+)$/.exec(name)?.[1];
    if (step !== undefined) lines.push(`step ${Number(step) + 1}: ${reason}`);
  }
  const trace = fault.facts["trace_id"];
  if (trace !== undefined) lines.push(`hover trace ${trace} shows how far it got`);
  return lines;
}

const FLAGS: Readonly<Record<string, string>> = {
  app: "-a",
  name: "--name",
  hostname: "the host name",
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
  "config.restart": "--restart",
  "config.schedule": "--schedule",
  "config.files": "--file-local",
  "config.auto_destroy": "--rm",
  current_version: "--current-version",
  lease_nonce: "--lease-nonce",
  ready_timeout: "--ready-timeout",
  "config.stop_config.signal": "--signal",
  "config.stop_config.timeout": "--timeout",
  "quota.machines": "--machines",
  "quota.memory_mb": "--memory",
  "quota.image_mb": "--images",
  scopes: "--scope",
  ttl_seconds: "--ttl",
};

/** Finds the flag that sets a field of a request. */
export function flagOf(field: string): string | undefined {
  const plain = field.replace(/\[[^\]]*\]/g, "");
  for (let path = plain; path !== ""; path = path.slice(0, Math.max(0, path.lastIndexOf(".")))) {
    if (Object.hasOwn(FLAGS, path)) return FLAGS[path];
  }
  return undefined;
}
