import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeFrame } from "./frame.ts";
import { listenMessage, readListening } from "./listen-messages.ts";
import { MESSAGE, TAG } from "./protocol.ts";
import { readFields, readNumber, TlvWriter } from "./tlv.ts";

function read(states: readonly Buffer[]) {
  const body = new TlvWriter();
  for (const state of states) body.put(TAG.portState, state);
  return readListening({ type: MESSAGE.listening, body: body.finish() });
}

test("a host asks for as many ports as a guest watches", () => {
  const ports = Array.from({ length: 70 }, (_, index) => 8_000 + index);
  const frame = decodeFrame(listenMessage(ports).subarray(0, -1));
  const asked = [...readFields(frame?.body ?? Buffer.alloc(0))].map(({ value }) => readNumber(value));
  expect(frame?.type).toBe(MESSAGE.listen);
  expect(asked).toEqual(ports.slice(0, 64));
});

test("states of ports are read, and one of a newer guest counts as closed", () => {
  const states = [Buffer.of(80, 0, 2), Buffer.of(0x90, 0x1f, 1), Buffer.of(81, 0, 0), Buffer.of(82, 0, 9)];
  expect(read(states)).toEqual([
    { port: 80, state: "open" },
    { port: 8_080, state: "local" },
    { port: 81, state: "closed" },
    { port: 82, state: "closed" },
  ]);
});

test("whatever a guest sends, no more than it was asked for is read", () => {
  expect(read(Array.from({ length: 1_000 }, () => Buffer.of(1, 0, 2)))).toHaveLength(64);
  expect(read([Buffer.of(1), Buffer.of(1, 2, 3, 4), Buffer.alloc(0)])).toEqual([]);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const ports = readListening({ type: MESSAGE.listening, body: Buffer.from(bytes) });
      expect(ports.every(({ port }) => port >= 0 && port < 65_536)).toBe(true);
    }),
  );
});
