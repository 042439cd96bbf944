import { encodeFrame, type Frame } from "./frame.ts";
import { MESSAGE, numbersOf, TAG } from "./protocol.ts";
import { readFields, TlvWriter } from "./tlv.ts";

/** Bytes of a connection that either end may send before the other has taken any: API_WINDOW there. */
export const API_WINDOW = 32 * 1024;
/** The guest's own limit: API_CONNECTIONS_MAX there. */
export const MAX_API_CONNECTIONS = 16;

/** A message of a guest about one connection of the API inside the machine. */
export type ApiMessage = { readonly id: bigint } & (
  | { readonly kind: "open" | "closed" }
  | { readonly kind: "input"; readonly bytes: Buffer; readonly isEnd: boolean }
  | { readonly kind: "taken"; readonly bytes: number }
);

export function isApiMessage(type: number): boolean {
  return type >= MESSAGE.apiOpen && type <= MESSAGE.apiClosed;
}

/** Reads a message about a connection; undefined when it makes no sense. */
export function readApiMessage({ type, body }: Frame): ApiMessage | undefined {
  let id = 0n;
  let bytes: Buffer = Buffer.alloc(0);
  for (const { tag, value } of readFields(body)) {
    if (tag === TAG.connection && value.length === 8) id = value.readBigUInt64LE();
    if (tag === TAG.data) bytes = value;
  }
  if (id === 0n) return undefined;
  const numbers = numbersOf(body);
  switch (type) {
    case MESSAGE.apiOpen:
      return { id, kind: "open" };
    case MESSAGE.apiInput:
      return { id, kind: "input", bytes, isEnd: numbers.get(TAG.end) === 1 };
    case MESSAGE.apiTaken:
      return { id, kind: "taken", bytes: numbers.get(TAG.credit) ?? 0 };
    case MESSAGE.apiClosed:
      return { id, kind: "closed" };
    default:
      return undefined;
  }
}

export function apiDataMessage(id: bigint, bytes: Buffer): Buffer {
  return encodeFrame(MESSAGE.apiData, about(id).put(TAG.data, bytes).finish());
}

export function apiEndMessage(id: bigint): Buffer {
  return encodeFrame(MESSAGE.apiData, about(id).put(TAG.end, Buffer.of(1)).finish());
}

export function apiCreditMessage(id: bigint, bytes: number): Buffer {
  return encodeFrame(MESSAGE.apiCredit, about(id).putU64(TAG.credit, BigInt(bytes)).finish());
}

export function apiCloseMessage(id: bigint): Buffer {
  return encodeFrame(MESSAGE.apiClose, about(id).finish());
}

function about(id: bigint): TlvWriter {
  return new TlvWriter().putU64(TAG.connection, id);
}
