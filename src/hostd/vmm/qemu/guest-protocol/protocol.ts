import type { Workload, WorkloadDns } from "../../vmm.ts";
import { DISK_SERIALS } from "../process/command-line.ts";
import { encodeFrame, type Frame } from "./frame.ts";
import { readFields, readNumber, TlvWriter } from "./tlv.ts";

/**
 * The messages between host and guest, as guest/init/channel/protocol.h explains them; change both
 * together. Messages from a guest may be hostile: numbers out of range become 0, unknown fields are
 * skipped, texts are made valid.
 */
export const PROTOCOL_VERSION = 8;
/** The first versions with commands, with word of ports, and with saves. VMs of an earlier hostd may have older ones. */
export const EXEC_VERSION = 5;
export const LISTEN_VERSION = 6;
export const SAVE_VERSION = 7;

export const MESSAGE = {
  ...{ sync: 1, run: 2, signal: 3, ack: 4, warmUp: 5 },
  ...{ exec: 6, list: 7, execInput: 8, execCredit: 9, execResize: 10, execSignal: 11, execKill: 12 },
  ...{ listen: 13, listening: 72 },
  ...{ freeze: 14, resume: 15, thaw: 16 },
  ...{ apiData: 17, apiCredit: 18, apiClose: 19, apiOpen: 73, apiInput: 74, apiTaken: 75, apiClosed: 76 },
  ...{ state: 65, logs: 66, signalled: 67 },
  ...{ execStarted: 68, execOutput: 69, execTaken: 70, execEnded: 71 },
} as const;

export const TAG = {
  ...{ nonce: 1, ack: 2, request: 3, signal: 4, errno: 5 },
  ...{ hostTime: 16, entropy: 17, rootSerial: 18, arg: 19, env: 20 },
  ...{ user: 21, workingDir: 22, hostname: 23, scratchSerial: 24, volume: 25 },
  ...{ protocol: 32, state: 33, now: 34, phase: 35, runAt: 36, execAt: 37 },
  ...{ failedStep: 38, detail: 39, exitCode: 40, exitSignal: 41, oomKilled: 42 },
  ...{ exitedAt: 43, lastLine: 44, warmUps: 45, line: 48 },
  ...{ resolver: 26, file: 27, tty: 28 },
  ...{ exec: 56, credit: 57, rows: 58, columns: 59, input: 60, data: 61, end: 62, pid: 63, stream: 64 },
  ...{ interrupted: 65, parent: 72, command: 73, directory: 74, cpu: 75, system: 76, runTime: 77 },
  ...{ resident: 78, socket: 79, port: 80, portState: 81, frozen: 82, resumed: 83, hook: 84, close: 85 },
  connection: 86,
} as const;

const STATES = ["waiting", "starting", "running", "exited", "failed"] as const;
const PHASES = ["", "kernel", "modules", "network", "scratch", "disk", "mount", "exec"] as const;
const STEPS = [
  ...(["", "request", "disk", "mount", "files", "user", "working_dir", "exec", "system", "volume"] as const),
  ...(["file", "limit"] as const),
] as const;

const PHASE_BYTES = 17;
const FILE_HEADER = 8;
/** QEMU's, which asks the host's. The guest has it in guest/init/system/net.h. */
const HOST_RESOLVER = "10.0.2.3";

type GuestWorkload = Omit<Workload, "rootfs" | "ports">;

/** Resembles real ones; guest/build makes its image. */
const WARM_UP: GuestWorkload = {
  argv: ["warm-up"],
  env: { PATH: "/usr/local/bin:/usr/bin:/bin", WARM_UP: "1" },
  user: "root",
  workingDir: "/data",
  hostname: "warm-up",
};

export interface GuestPhase {
  readonly name: (typeof PHASES)[number];
  readonly startUs: number;
  readonly endUs: number;
}

/** Why a program was not run. */
export interface GuestFailure {
  readonly step: (typeof STEPS)[number];
  readonly errno: number;
  readonly detail: string;
}

/** A guest's whole state. Times are microseconds of its monotonic clock. */
export interface GuestState {
  readonly kind: "state";
  readonly protocol: number;
  readonly state: (typeof STATES)[number];
  readonly nowUs: number;
  /** Of the SYNC that it answers; 0n when it answers none. */
  readonly nonce: bigint;
  readonly phases: readonly GuestPhase[];
  readonly warmUps: number;
  readonly runAtUs: number;
  readonly execAtUs: number;
  /** Whether the workload stands still. */
  readonly isFrozen: boolean;
  /** Nonce of the RESUME that was carried out; 0n: none. */
  readonly resumed: bigint;
  /** Whether the image has a program to run before the workload goes on. */
  readonly hasHook: boolean;
  readonly failure: GuestFailure;
  readonly exit: {
    readonly code?: number;
    readonly signal?: number;
    readonly oomKilled: boolean;
    readonly atUs: number;
    readonly lastLine: number;
  };
}

export type GuestMessage =
  | GuestState
  | { readonly kind: "signalled"; readonly request: number; readonly errno: number };

/** Begins a session. Lines up to `ack` are not sent again. */
export function syncMessage(nonce: bigint, ack: number): Buffer {
  return encodeFrame(
    MESSAGE.sync,
    new TlvWriter()
      .putU64(TAG.nonce, nonce)
      .putU64(TAG.ack, BigInt(ack))
      .putU64(TAG.protocol, BigInt(PROTOCOL_VERSION))
      .finish(),
  );
}

/** Makes the guest run a workload. Sets its clock and adds to its entropy. */
export function runMessage(workload: Workload, hostTimeUs: number, entropy: Buffer): Buffer {
  return encodeFrame(MESSAGE.run, runBody(workload, hostTimeUs, entropy).finish());
}

/** Makes the guest do a warm-up, after which it waits again. */
export function warmUpMessage(hostTimeUs: number, entropy: Buffer): Buffer {
  return encodeFrame(MESSAGE.warmUp, runBody(WARM_UP, hostTimeUs, entropy).finish());
}

function runBody(workload: GuestWorkload, hostTimeUs: number, entropy: Buffer): TlvWriter {
  const body = new TlvWriter()
    .putU64(TAG.hostTime, BigInt(Math.round(hostTimeUs)))
    .put(TAG.entropy, entropy)
    .put(TAG.rootSerial, DISK_SERIALS.root)
    .put(TAG.scratchSerial, DISK_SERIALS.scratch)
    .put(TAG.user, workload.user)
    .put(TAG.workingDir, workload.workingDir === "" ? "/" : workload.workingDir)
    .put(TAG.hostname, workload.hostname);
  for (const volume of workload.volumes ?? []) body.put(TAG.volume, volume);
  for (const { path, content, mode } of workload.files ?? [])
    body.put(TAG.file, fileField(path, content, mode));
  if (workload.dns) body.put(TAG.resolver, resolverText(workload.dns));
  if (workload.tty === true) body.put(TAG.tty, Buffer.of(1));
  for (const arg of workload.argv) body.put(TAG.arg, arg);
  for (const [name, value] of Object.entries(workload.env)) body.put(TAG.env, `${name}=${value}`);
  return body;
}

function fileField(path: string, content: Buffer, mode: number): Buffer {
  const name = Buffer.from(path);
  const header = Buffer.allocUnsafe(FILE_HEADER);
  header.writeUInt32LE(mode, 0);
  header.writeUInt32LE(name.length, 4);
  return Buffer.concat([header, name, content]);
}

/** Makes the text of /etc/resolv.conf. */
function resolverText({ nameservers, searches, options }: WorkloadDns): string {
  const servers = nameservers.length === 0 ? [HOST_RESOLVER] : nameservers;
  return [
    ...servers.map((address) => `nameserver ${address}\n`),
    searches.length === 0 ? "" : `search ${searches.join(" ")}\n`,
    options.length === 0 ? "" : `options ${options.join(" ")}\n`,
  ].join("");
}

export function signalMessage(request: number, signal: number): Buffer {
  const body = new TlvWriter().putU64(TAG.request, BigInt(request)).putU64(TAG.signal, BigInt(signal));
  return encodeFrame(MESSAGE.signal, body.finish());
}

/** What a guest gets before its workload goes on. */
export interface Resumption {
  readonly nonce: bigint;
  readonly hostTimeUs: number;
  readonly entropy: Buffer;
  /** Empty: the present one. */
  readonly hostname: string;
  /** Ends its connections with others, of which an earlier VM had the other end. */
  readonly closes: boolean;
}

/** Stops the workload. @param closes ends its connections with others */
export function freezeMessage(closes: boolean): Buffer {
  return encodeFrame(MESSAGE.freeze, new TlvWriter().put(TAG.close, Buffer.of(closes ? 1 : 0)).finish());
}

/** Makes a guest with a stopped workload new: clock, entropy, hostname. */
export function resumeMessage({ nonce, hostTimeUs, entropy, hostname, closes }: Resumption): Buffer {
  const body = new TlvWriter()
    .putU64(TAG.nonce, nonce)
    .putU64(TAG.hostTime, BigInt(Math.round(hostTimeUs)))
    .put(TAG.entropy, entropy)
    .put(TAG.hostname, hostname)
    .put(TAG.close, Buffer.of(closes ? 1 : 0));
  return encodeFrame(MESSAGE.resume, body.finish());
}

export function thawMessage(): Buffer {
  return encodeFrame(MESSAGE.thaw, Buffer.alloc(0));
}

/** Lets the guest forget lines up to `number`. */
export function ackMessage(number: number): Buffer {
  return encodeFrame(MESSAGE.ack, new TlvWriter().putU64(TAG.ack, BigInt(number)).finish());
}

/** Reads a message that is not lines: `readLines` reads those. */
export function readMessage(frame: Frame): GuestMessage | undefined {
  switch (frame.type) {
    case MESSAGE.state:
      return readState(frame.body);
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
  let resumed = 0n;
  for (const { tag, value } of readFields(body)) {
    if (tag === TAG.phase && value.length === PHASE_BYTES && phases.length < PHASES.length) {
      const name = PHASES[value[0] ?? 0] ?? "";
      const startUs = readNumber(value.subarray(1, 9));
      const endUs = readNumber(value.subarray(9, 17));
      if (name !== "" && startUs <= endUs) phases.push({ name, startUs, endUs });
    }
    if (tag === TAG.detail) detail = value.toString("utf8", 0, 1024);
    if (tag === TAG.nonce && value.length === 8) nonce = value.readBigUInt64LE();
    if (tag === TAG.resumed && value.length === 8) resumed = value.readBigUInt64LE();
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
    isFrozen: number(TAG.frozen) === 1,
    resumed,
    hasHook: number(TAG.hook) === 1,
    failure: failureOf(numbers, detail),
    exit: {
      ...(code === undefined ? {} : { code: code & 0xff }),
      ...(signal === undefined ? {} : { signal: signal & 0x7f }),
      oomKilled: number(TAG.oomKilled) === 1,
      atUs: number(TAG.exitedAt),
      lastLine: number(TAG.lastLine),
    },
  };
}

/** @param numbers fields of a message */
export function failureOf(numbers: ReadonlyMap<number, number>, detail: string): GuestFailure {
  const step = STEPS[numbers.get(TAG.failedStep) ?? 0];
  return { step: step || "system", errno: numbers.get(TAG.errno) ?? 0, detail };
}

export function numbersOf(body: Buffer): Map<number, number> {
  const numbers = new Map<number, number>();
  for (const { tag, value } of readFields(body)) numbers.set(tag, readNumber(value));
  return numbers;
}
