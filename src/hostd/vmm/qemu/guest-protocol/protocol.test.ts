import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readLines } from "../guest-channel/output.ts";
import { decodeFrame } from "./frame.ts";
import { PROTOCOL_VERSION, readMessage, runMessage, syncMessage } from "./protocol.ts";
import { readFields, readNumber, TlvWriter } from "./tlv.ts";

function number(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

function line(text: Buffer, stream = 1, at = 5n): Buffer {
  return Buffer.concat([number(at), number(77n), Buffer.of(stream), text]);
}

describe("a message from a guest", () => {
  test("is read in full when it is sound", () => {
    const phase = Buffer.concat([Buffer.of(6), number(10n), number(30n)]);
    const body = new TlvWriter()
      .put(32, Buffer.from([1, 0, 0, 0]))
      .put(33, Buffer.of(3))
      .putU64(34, 900n)
      .putU64(1, 0xfedcba9876543210n)
      .put(35, phase)
      .putU64(37, 800n)
      .put(41, Buffer.from([9, 0, 0, 0]))
      .put(42, Buffer.of(1))
      .putU64(43, 850n)
      .putU64(44, 12n);

    const state = readMessage({ type: 65, body: body.finish() });

    expect(state).toMatchObject({
      ...{
        kind: "state",
        protocol: 1,
        state: "exited",
        nowUs: 900,
        nonce: 0xfedcba9876543210n,
        execAtUs: 800,
      },
      phases: [{ name: "mount", startUs: 10, endUs: 30 }],
      exit: { signal: 9, oomKilled: true, atUs: 850, lastLine: 12 },
    });
    expect(state).not.toHaveProperty("exit.code");
  });

  test("is cut, replaced or skipped where it is not", () => {
    const body = new TlvWriter()
      .put(48, line(Buffer.from([0x61, 0xff, 0x62])))
      .put(48, line(Buffer.alloc(20_000, "x"), 2))
      .put(48, line(Buffer.from("of no stream"), 9))
      .put(48, Buffer.alloc(16))
      .put(48, line(Buffer.from("far"), 3, 1n << 60n))
      .finish();

    const lines = readLines(Buffer.concat([body, Buffer.from([48, 0, 255, 255, 255, 255])]));

    expect(lines).toEqual([
      { number: 5, timeUs: 77, stream: "stdout", text: "a\ufffdb" },
      { number: 5, timeUs: 77, stream: "stderr", text: "x".repeat(16_384) },
      { number: 0, timeUs: 77, stream: "system", text: "far" },
    ]);
  });

  test("never throws, whatever it is", () => {
    fc.assert(
      fc.property(fc.constantFrom(65, 67, 99), fc.uint8Array({ maxLength: 400 }), (type, bytes) => {
        const body = Buffer.from(bytes);

        expect(readMessage({ type, body }) === undefined).toBe(type === 99);
        expect(Array.isArray(readLines(body))).toBe(true);
      }),
    );
  });
});

test("a RUN message holds the workload, the time and the randomness, in the guest's own tags", () => {
  const workload = {
    ...{ rootfs: "/r", argv: ["a", ""], env: { B: "c=d" }, user: "u", workingDir: "" },
    ...{ hostname: "h", ports: [] },
  };

  const frame = decodeFrame(runMessage(workload, 123.6, Buffer.from("seed")).subarray(0, -1));

  expect(frame?.type).toBe(2);
  const fields = [...readFields(frame?.body ?? Buffer.alloc(0))].map(({ tag, value }) => [
    tag,
    tag === 16 ? readNumber(value) : value.toString(),
  ]);
  expect(fields).toEqual([
    ...[
      [16, 124],
      [17, "seed"],
      [18, "root"],
      [24, "scratch"],
    ],
    ...[
      [21, "u"],
      [22, "/"],
      [23, "h"],
      [19, "a"],
      [19, ""],
      [20, "B=c=d"],
    ],
  ]);
});

test("a SYNC message holds its nonce, what need not be told again, and the version", () => {
  const frame = decodeFrame(syncMessage(5n, 9).subarray(0, -1));

  expect(
    [...readFields(frame?.body ?? Buffer.alloc(0))].map(({ tag, value }) => [tag, readNumber(value)]),
  ).toEqual([
    [1, 5],
    [2, 9],
    [32, PROTOCOL_VERSION],
  ]);
});
