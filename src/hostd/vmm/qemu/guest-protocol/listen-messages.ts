import type { ListeningPort } from "../../vmm.ts";
import { encodeFrame, type Frame } from "./frame.ts";
import { MESSAGE, TAG } from "./protocol.ts";
import { readFields, TlvWriter } from "./tlv.ts";

/** LISTEN_PORTS_MAX of the guest. */
const MAX_PORTS = 64;

const STATES = ["closed", "local", "open"] as const;
const STATE_BYTES = 3;

/** Makes the guest tell whether its workload listens on some TCP ports, until the session ends. */
export function listenMessage(ports: readonly number[]): Buffer {
  const body = new TlvWriter();
  for (const port of ports.slice(0, MAX_PORTS)) body.putU64(TAG.port, BigInt(port));
  return encodeFrame(MESSAGE.listen, body.finish());
}

/** Reads the states of ports. */
export function readListening({ body }: Frame): readonly ListeningPort[] {
  const ports: ListeningPort[] = [];
  for (const { tag, value } of readFields(body)) {
    if (tag !== TAG.portState || value.length !== STATE_BYTES || ports.length === MAX_PORTS) continue;
    ports.push({ port: value.readUInt16LE(0), state: STATES[value[2] ?? 0] ?? "closed" });
  }
  return ports;
}
