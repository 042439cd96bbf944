import type { Workload } from "../../vmm.ts";
import { encodeFrame, type Frame } from "./frame.ts";
import { readFields, readNumber, TlvWriter } from "./tlv.ts";

/**
 * What host and guest say to each other, as guest/init/channel/protocol.h explains it; change both together. Everything that comes
 * from a guest is taken for hostile: numbers out of range become 0, unknown fields are skipped, texts are made valid.
 */
export const PROTOCOL_VERSION = 3;

/** Name of the guest's port. */
export const AGENT_PORT = "windhover.agent";

/** Serial numbers by which the guest finds its disks. */
export const ROOT_SERIAL = "root";
/** See {@link ROOT_SERIAL}. */
export const SCRATCH_SERIAL = "scratch";

const MESSAGE = {
  sync: 1,
  run: 2,
  signal: 3,
  ack: 4,
  warmUp: 5,
  state: 65,
  logs: 66,
  signalled: 67,
} as const;

const TAG = {
  nonce: 1,
  ack: 2,
  request: 3,
  signal: 4,
  errno: 5,
  hostTime: 16,
  entropy: 17,
  rootSerial: 18,
  arg: 19,
  env: 20,
  user: 21,
  workingDir: 22,
  hostname: 23,
  scratchSerial: 24,
  protocol: 32,
  state: 33,
  now: 34,
  phase: 35,
  runAt: 36,
  execAt: 37,
  failedStep: 38,
  detail: 39,
  exitCode: 40,
  exitSignal: 41,
  oomKilled: 42,
  exitedAt: 43,
  lastLine: 44,
  warmUps: 45,
  line: 48,
} as const;

const STATES = ["waiting", "starting", "running", "exited", "failed"] as const;
const STREAMS = { 1: "stdout", 2: "stderr", 3: "system" } as const;
const PHASES = ["", "kernel", "modules", "network", "scratch", "disk", "mount", "exec"] as const;
const STEPS = ["", "request", "disk", "mount", "files", "user", "working_dir", "exec", "system"] as const;

/** Longest line taken; the guest cuts at the same length. */
const MAX_LINE_BYTES = 16 * 1024;
const LINE_HEADER = 17;

/** What the guest needs to know of a workload. */
type GuestWork = Pick<Workload, "argv" | "env" | "user" | "workingDir" | "hostname">;

/** Much like a real one; the program is in the image that guest/build makes. */
const WARM_UP: GuestWork = {
  argv: ["warm-up"],
  env: { PATH: "/usr/local/bin:/usr/bin:/bin", WARM_UP: "1" },
  user: "root",
  workingDir: "/data",
  hostname: "warm-up",
};

/** What a guest was doing when. */
export interface GuestPhase {
  readonly name: (typeof PHASES)[number];
  readonly startUs: number;
  readonly endUs: number;
}

/** All a guest has to say about itself. Times are microseconds of its monotonic clock. */
export interface GuestState {
  readonly kind: "state";
  readonly protocol: number;
  readonly state: (typeof STATES)[number];
  readonly nowUs: number;
  /** Of the question this answers; 0n when the guest speaks on its own. */
  readonly nonce: bigint;
  readonly phases: readonly GuestPhase[];
  /** How many rehearsals are over. */
  readonly warmUps: number;
  readonly runAtUs: number;
  readonly execAtUs: number;
  readonly failure: {
    readonly step: (typeof STEPS)[number];
    readonly errno: number;
    readonly detail: string;
  };
  readonly exit: {
    readonly code?: number;
    readonly signal?: number;
    readonly oomKilled: boolean;
    readonly atUs: number;
    readonly lastLine: number;
  };
}

/** One numbered line of output. */
export interface GuestLine {
  readonly number: number;
  readonly timeUs: number;
  readonly stream: "stdout" | "stderr" | "system";
  readonly text: string;
}

/** What can come from a guest. */
export type GuestMessage =
  | GuestState
  | { readonly kind: "logs"; readonly nowUs: number; readonly lines: readonly GuestLine[] }
  | { readonly kind: "signalled"; readonly request: number; readonly errno: number };

/** Begins a conversation. Lines up to `ack` will not be sent again. */
export function syncMessage(nonce: bigint, ack: number): Buffer {
  return encodeFrame(
    MESSAGE.sync,
    new TlvWriter().putU64(TAG.nonce, nonce).putU64(TAG.ack, BigInt(ack)).finish(),
  );
}

/** Tells the guest what to run, what time it is, and gives it randomness of its own. */
export function runMessage(workload: Workload, hostTimeUs: number, entropy: Buffer): Buffer {
  return encodeFrame(MESSAGE.run, runBody(workload, hostTimeUs, entropy).finish());
}

/** The same for a rehearsal, after which the guest waits again. */
export function warmUpMessage(hostTimeUs: number, entropy: Buffer): Buffer {
  return encodeFrame(MESSAGE.warmUp, runBody(WARM_UP, hostTimeUs, entropy).finish());
}

function runBody(workload: GuestWork, hostTimeUs: number, entropy: Buffer): TlvWriter {
  const body = new TlvWriter()
    .putU64(TAG.hostTime, BigInt(Math.round(hostTimeUs)))
    .put(TAG.entropy, entropy)
    .put(TAG.rootSerial, ROOT_SERIAL)
    .put(TAG.scratchSerial, SCRATCH_SERIAL)
    .put(TAG.user, workload.user)
    .put(TAG.workingDir, workload.workingDir === "" ? "/" : workload.workingDir)
    .put(TAG.hostname, workload.hostname);
  for (const arg of workload.argv) body.put(TAG.arg, arg);
  for (const [name, value] of Object.entries(workload.env)) body.put(TAG.env, `${name}=${value}`);
  return body;
}

/** Asks for a signal to be sent to the workload. */
export function signalMessage(request: number, signal: number): Buffer {
  const body = new TlvWriter().putU64(TAG.request, BigInt(request)).putU64(TAG.signal, BigInt(signal));
  return encodeFrame(MESSAGE.signal, body.finish());
}

/** Lets the guest forget lines up to `number`. */
export function ackMessage(number: number): Buffer {
  return encodeFrame(MESSAGE.ack, new TlvWriter().putU64(TAG.ack, BigInt(number)).finish());
}

/** Reads what a guest sent; undefined for what this version does not know. */
export function readMessage(frame: Frame): GuestMessage | undefined {
  switch (frame.type) {
    case MESSAGE.state:
      return readState(frame.body);
    case MESSAGE.logs:
      return readLogs(frame.body);
    case MESSAGE.signalled: {
      const numbers = numbersOf(frame.body);
      return {
        kind: "signalled",
        request: numbers.get(TAG.request) ?? 0,
        errno: numbers.get(TAG.errno) ?? 0,
      };
    }
    default:
      return undefined;
  }
}

function readState(body: Buffer): GuestState {
  const numbers = numbersOf(body);
  const number = (tag: number): number => numbers.get(tag) ?? 0;
  const phases: GuestPhase[] = [];
  let detail = "";
  let nonce = 0n;
  for (const { tag, value } of readFields(body)) {
    if (tag === TAG.phase && value.length === LINE_HEADER && phases.length < PHASES.length) {
      const name = PHASES[value[0] ?? 0] ?? "";
      const startUs = readNumber(value.subarray(1, 9));
      const endUs = readNumber(value.subarray(9, 17));
      if (name !== "" && startUs <= endUs) phases.push({ name, startUs, endUs });
    }
    if (tag === TAG.detail) detail = value.toString("utf8", 0, 1024);
    if (tag === TAG.nonce && value.length === 8) nonce = value.readBigUInt64LE();
  }
  const code = numbers.get(TAG.exitCode);
  const signal = numbers.get(TAG.exitSignal);
  return {
    kind: "state",
    protocol: number(TAG.protocol),
    state: STATES[number(TAG.state)] ?? "waiting",
    nowUs: number(TAG.now),
    nonce,
    phases,
    warmUps: number(TAG.warmUps),
    runAtUs: number(TAG.runAt),
    execAtUs: number(TAG.execAt),
    failure: { step: STEPS[number(TAG.failedStep)] ?? "system", errno: number(TAG.errno), detail },
    exit: {
      ...(code === undefined ? {} : { code: code & 0xff }),
      ...(signal === undefined ? {} : { signal: signal & 0x7f }),
      oomKilled: number(TAG.oomKilled) === 1,
      atUs: number(TAG.exitedAt),
      lastLine: number(TAG.lastLine),
    },
  };
}

function readLogs(body: Buffer): GuestMessage {
  const lines: GuestLine[] = [];
  let nowUs = 0;
  for (const { tag, value } of readFields(body)) {
    if (tag === TAG.now) nowUs = readNumber(value);
    if (tag !== TAG.line || value.length < LINE_HEADER) continue;
    // A stream of no known number is none we could show.
    const stream = STREAMS[(value[16] ?? 0) as keyof typeof STREAMS];
    if (stream === undefined) continue;
    lines.push({
      number: readNumber(value.subarray(0, 8)),
      timeUs: readNumber(value.subarray(8, 16)),
      stream,
      text: value.toString("utf8", LINE_HEADER, Math.min(value.length, LINE_HEADER + MAX_LINE_BYTES)),
    });
  }
  return { kind: "logs", nowUs, lines };
}

function numbersOf(body: Buffer): Map<number, number> {
  const numbers = new Map<number, number>();
  for (const { tag, value } of readFields(body)) numbers.set(tag, readNumber(value));
  return numbers;
}
