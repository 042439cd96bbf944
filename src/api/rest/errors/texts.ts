import type { Fault } from "../../../lib/faults/fault.ts";

/** Parts of the answer to an error. What is absent follows from its gRPC code. */
interface ErrorText {
  readonly status?: number;
  /** The machine-readable `status` of the answer. */
  readonly name?: string;
  /** The whole text; absent: the code in lower case, and the fault's message. */
  readonly text?: string;
  /** Further members of the answer. */
  readonly more?: Readonly<Record<string, string>>;
}

/** Nothing has room: asking elsewhere in the region does not help. */
const NO_ROOM = { status: 409, name: "insufficient_capacity", more: { scope: "region" } } as const;
/**
 * The machine's own host has no room. Without a name: published clients take any as the last word,
 * and learn only from the text that the machine may be made anew on another host.
 */
const HOST_FULL = { status: 409, name: "", more: { scope: "host" } } as const;
const RESERVE = "could not reserve resource for machine";
/** Actions that a host must write down, and for which a machine takes no more room. */
const NEED_NO_ROOM: ReadonlySet<string> = new Set([
  "stop",
  "suspend",
  "signal",
  "cordon",
  "uncordon",
  "destroy",
]);
const FORBIDDEN = { status: 403, name: "permission_denied" } as const;

/**
 * Answers that clients of the Fly Machines API look for, by reason. Texts are part of the contract:
 * published clients match them.
 */
export const BY_REASON: Readonly<Record<string, (fault: Fault, action: string) => ErrorText>> = {
  APP_NOT_FOUND: () => ({ text: "Could not find App" }),
  ORG_NOT_FOUND: () => ({ text: "Could not find Organization" }),
  MACHINE_NOT_FOUND: () => ({ text: "machine not found" }),
  HOST_UNKNOWN: () => ({ text: "machine not found" }),
  LEASE_NOT_FOUND: () => ({ text: "lease not found" }),
  APP_NAME_TAKEN: ({ facts }) => ({
    status: 422,
    name: "name_taken",
    text: `already_exists: app name ${quoted(facts["app"])} has already been taken`,
  }),
  HOSTNAME_TAKEN: ({ message }) => ({
    status: 422,
    name: "hostname_taken",
    text: `already_exists: ${message}`,
  }),
  MACHINE_NAME_TAKEN: ({ facts }) => ({
    text: `already_exists: unique machine name violation, machine ID ${facts["machine_id"] || "unknown"} already exists with name ${quoted(facts["name"])}`,
  }),
  LEASE_HELD: ({ facts, message }) => {
    const { machine_id: id = "unknown", owner = "unknown", expire_time: time = "unknown" } = facts;
    const text = `machine ID ${id} lease currently held by ${owner}, expires at ${time}`;
    const known = facts["owner"] === undefined ? message : text;
    return {
      name: "error",
      text: `aborted: ${known}`,
      more: { message: known, code: "invalid", owner, expires_at: time },
    };
  },
  VERSION_MISMATCH: ({ facts }) => ({ more: pick(facts, "current_version") }),
  WAIT_TIMEOUT: (fault) => ({ text: `deadline_exceeded: ${notReached(fault)}` }),
  STATE_UNREACHABLE: (fault) => ({ text: `failed_precondition: ${notReached(fault)}` }),
  REPLACED: (fault) => ({ text: `failed_precondition: ${notReached(fault, "replaced")}` }),
  INVALID_STATE: ({ facts }, action) => {
    const { state } = facts;
    return state === undefined || action === ""
      ? {}
      : { text: `failed_precondition: unable to ${action} machine from current state: '${state}'` };
  },
  MACHINE_RUNNING: ({ facts }) => ({
    text: `failed_precondition: unable to destroy machine from current state: '${facts["state"] ?? "started"}'; stop it first, or use force=true`,
  }),
  INSUFFICIENT_CAPACITY: (fault) => ({ ...HOST_FULL, text: noRoom(fault) }),
  NO_CAPACITY: (fault) => ({ ...NO_ROOM, text: noRoom(fault) }),
  DISK_FULL: (fault, action) => (NEED_NO_ROOM.has(action) ? notStored(fault) : noPlace(fault)),
  NO_FREE_PORT: noPlace,
  IMAGE_SHARE_EXCEEDED: overQuota,
  // Not 429: a repeat need not help.
  NO_STEP_WORKED: ({ facts }) => ({ status: 409, more: attemptsOf(facts) }),
  ACQUIRE_TIMEOUT: ({ facts }) => ({ more: attemptsOf(facts) }),
  RATE_LIMITED: () => ({ text: "resource_exhausted: rate limit exceeded" }),
  QUOTA_MACHINES: overQuota,
  QUOTA_MEMORY: overQuota,
  QUOTA_IMAGES: overQuota,
  // Not 404: of a create it would mean that the app does not exist.
  IMAGE_NOT_FOUND: wrongImage,
  NOT_AN_IMAGE: wrongImage,
  PLATFORM_NOT_AVAILABLE: wrongImage,
  BODY_TOO_LARGE: () => ({ status: 413 }),
  REQUEST_TOO_LARGE: () => ({ status: 413 }),
  HEADERS_TOO_LARGE: () => ({ status: 431 }),
  METHOD_NOT_ALLOWED_HERE: () => ({ status: 405, name: "method_not_allowed" }),
  UPGRADE_REQUIRED: () => ({ status: 426 }),
  ENCODING_NOT_SUPPORTED: () => ({ status: 415 }),
};

function overQuota({ message }: Fault): ErrorText {
  // Without ` for machine`, which clients read as a lack of room.
  return { ...FORBIDDEN, text: `permission_denied: ${message}`, more: { scope: "quota" } };
}

/** Answers that the host has no room, for another reason than CPUs and memory. */
function noPlace({ message }: Fault): ErrorText {
  return { ...HOST_FULL, text: `aborted: ${RESERVE}: ${lack("resources")}: ${message}` };
}

/** Answers that the host cannot write the change down. Clients would make the machine anew for want of room. */
function notStored({ message }: Fault): ErrorText {
  return { status: 503, name: "unavailable", text: `unavailable: ${message}` };
}

/** A fact that is part of the answer when the fault has it. */
function pick(facts: Fault["facts"], name: string): Record<string, string> {
  const value = facts[name];
  return value === undefined ? {} : { [name]: value };
}

function attemptsOf(facts: Fault["facts"]): Record<string, string> {
  return { ...pick(facts, "attempts"), ...pick(facts, "attempts_left_out") };
}

function wrongImage({ message }: Fault): ErrorText {
  return { status: 400, name: "invalid_argument", text: `invalid_argument: ${message}` };
}

function noRoom({ facts, message }: Fault): string {
  const lacks = (what: string) => Number(facts[`asked_${what}`]) > Number(facts[`free_${what}`]);
  const isCpus = facts["free_cpus"] === undefined ? /insufficient CPUs/.test(message) : lacks("cpus");
  const what = isCpus && !lacks("memory_mb") ? "CPUs" : "memory";
  return `aborted: ${RESERVE}: ${lack(what)}`;
}

function lack(what: string): string {
  return `insufficient ${what} available to fulfill request`;
}

function notReached({ facts }: Fault, state = facts["state"] ?? "unknown"): string {
  const wanted = (facts["states"] || "settled").split(",").join(" or ");
  return `machine failed to reach desired state, ${wanted}, currently ${state}`;
}

function quoted(text: string | undefined): string {
  return JSON.stringify(text ?? "");
}
