import type { ExecRequest, TerminalSize } from "../../exec.ts";
import { encodeFrame, type Frame } from "./frame.ts";
import { failureOf, type GuestFailure, MESSAGE, numbersOf, TAG } from "./protocol.ts";
import { readFields, TlvWriter } from "./tlv.ts";

/** Input that a guest keeps for a command that does not read: EXEC_INPUT_MAX there. */
export const INPUT_WINDOW = 32 * 1024;
const MAX_DETAIL_BYTES = 1024;

/** A message of a guest about one command. */
export type ExecMessage = { readonly id: bigint } & (
  | { readonly kind: "started"; readonly pid: number }
  | { readonly kind: "output"; readonly stream: "stdout" | "stderr"; readonly bytes: Buffer }
  | { readonly kind: "taken"; readonly bytes: number }
  | { readonly kind: "exit"; readonly code: number }
  | { readonly kind: "signal"; readonly signal: number }
  | { readonly kind: "interrupted" }
  | { readonly kind: "failed"; readonly failure: GuestFailure }
);

/** Makes the guest run a command. @param credit bytes of output that the guest may send */
export function execMessage(id: bigint, request: ExecRequest, credit: number): Buffer {
  const body = about(id).putU64(TAG.credit, BigInt(credit));
  if (request.stdin) body.put(TAG.input, Buffer.of(1));
  if (request.terminal) putSize(body, request.terminal);
  if (request.user !== undefined) body.put(TAG.user, request.user);
  if (request.workingDir !== undefined) body.put(TAG.workingDir, request.workingDir);
  for (const arg of request.argv) body.put(TAG.arg, arg);
  for (const [name, value] of Object.entries(request.env)) body.put(TAG.env, `${name}=${value}`);
  return encodeFrame(MESSAGE.exec, body.finish());
}

/** Makes the guest list its processes, as the output of a command: see `readProcesses`. */
export function listMessage(id: bigint, credit: number): Buffer {
  return encodeFrame(MESSAGE.list, about(id).putU64(TAG.credit, BigInt(credit)).finish());
}

export function inputMessage(id: bigint, bytes: Buffer): Buffer {
  return encodeFrame(MESSAGE.execInput, about(id).put(TAG.data, bytes).finish());
}

export function endInputMessage(id: bigint): Buffer {
  return encodeFrame(MESSAGE.execInput, about(id).put(TAG.end, Buffer.of(1)).finish());
}

export function creditMessage(id: bigint, bytes: number): Buffer {
  return encodeFrame(MESSAGE.execCredit, about(id).putU64(TAG.credit, BigInt(bytes)).finish());
}

export function resizeMessage(id: bigint, size: TerminalSize): Buffer {
  return encodeFrame(MESSAGE.execResize, putSize(about(id), size).finish());
}

export function execSignalMessage(id: bigint, signal: number): Buffer {
  return encodeFrame(MESSAGE.execSignal, about(id).putU64(TAG.signal, BigInt(signal)).finish());
}

export function killMessage(id: bigint): Buffer {
  return encodeFrame(MESSAGE.execKill, about(id).finish());
}

export function isExecMessage(type: number): boolean {
  return type >= MESSAGE.execStarted && type <= MESSAGE.execEnded;
}

/** Reads a message about a command; undefined when it makes no sense. */
export function readExecMessage({ type, body }: Frame): ExecMessage | undefined {
  let id = 0n;
  let bytes: Buffer = Buffer.alloc(0);
  let detail = "";
  for (const { tag, value } of readFields(body)) {
    if (tag === TAG.exec && value.length === 8) id = value.readBigUInt64LE();
    if (tag === TAG.data) bytes = value;
    if (tag === TAG.detail) detail = value.toString("utf8", 0, MAX_DETAIL_BYTES);
  }
  const numbers = numbersOf(body);
  switch (type) {
    case MESSAGE.execStarted:
      return { id, kind: "started", pid: numbers.get(TAG.pid) ?? 0 };
    case MESSAGE.execOutput:
      return { id, kind: "output", stream: numbers.get(TAG.stream) === 2 ? "stderr" : "stdout", bytes };
    case MESSAGE.execTaken:
      return { id, kind: "taken", bytes: numbers.get(TAG.credit) ?? 0 };
    case MESSAGE.execEnded:
      return endOf(id, numbers, detail);
    default:
      return undefined;
  }
}

function endOf(id: bigint, numbers: ReadonlyMap<number, number>, detail: string): ExecMessage {
  const code = numbers.get(TAG.exitCode);
  const signal = numbers.get(TAG.exitSignal);
  if (numbers.has(TAG.failedStep)) return { id, kind: "failed", failure: failureOf(numbers, detail) };
  if (code !== undefined) return { id, kind: "exit", code: code & 0xff };
  if (signal !== undefined) return { id, kind: "signal", signal: signal & 0x7f };
  return { id, kind: "interrupted" };
}

function about(id: bigint): TlvWriter {
  return new TlvWriter().putU64(TAG.exec, id);
}

function putSize(body: TlvWriter, { rows, columns }: TerminalSize): TlvWriter {
  return body.putU64(TAG.rows, BigInt(rows)).putU64(TAG.columns, BigInt(columns));
}
