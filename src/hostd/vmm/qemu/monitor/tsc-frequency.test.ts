import { expect, test } from "vitest";
import { readTscMhz } from "./tsc-frequency.ts";

/** A saved state with the section of clocks in it. */
function state(ticks: bigint, nanoseconds: bigint): Buffer {
  const clocks = Buffer.alloc(24);
  clocks.writeBigInt64BE(ticks, 0);
  clocks.writeBigInt64BE(nanoseconds, 16);
  const header = Buffer.from("\x04\0\0\0\x02\x05timer\0\0\0\0\0\0\0\x02", "latin1");
  return Buffer.concat([Buffer.alloc(1_000, "timer"), header, clocks, Buffer.alloc(500)]);
}

async function* inChunks(whole: Buffer, size: number) {
  for (let from = 0; from < whole.length; from += size) yield whole.subarray(from, from + size);
}

test.each([1, 7, 64, 10_000])("the frequency is found in chunks of %i bytes", async (size) => {
  expect(await readTscMhz(inChunks(state(5_192_244_000n, 2_000_000_000n), size))).toBe(2_596);
});

test("a frequency that cannot be, and a state without clocks, are none", async () => {
  expect(await readTscMhz(inChunks(state(0n, 1_000n), 100))).toBeUndefined();
  expect(await readTscMhz(inChunks(state(1n, 0n), 100))).toBeUndefined();
  expect(await readTscMhz(inChunks(Buffer.alloc(5_000, "\x05timer"), 100))).toBeUndefined();
});
