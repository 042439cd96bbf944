import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LogPump } from "../vmm/qemu/guest-channel/log-pump.ts";
import { encodeFrame } from "../vmm/qemu/guest-protocol/frame.ts";
import { MESSAGE, TAG } from "../vmm/qemu/guest-protocol/protocol.ts";
import { TlvWriter } from "../vmm/qemu/guest-protocol/tlv.ts";
import { LogStore } from "./log-store.ts";

let dir: string;
let store: LogStore;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "wh-fair-"));
  const limits = { machineKb: 1_024, orgKb: 65_536 };
  const onDeath = (err: Error): void => {
    throw err;
  };
  store = new LogStore({ dir: join(dir, "logs"), limits, owners: [], onDeath });
});
afterEach(async () => {
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});

/** A frame of empty lines, as a guest sends it, without its final zero. */
function emptyLines(from: number, to: number): Buffer {
  const body = new TlvWriter().putU64(TAG.now, 1n);
  for (let number = from; number <= to; number++) {
    const header = Buffer.alloc(17);
    header.writeBigUInt64LE(BigInt(number));
    header[16] = 1;
    body.put(TAG.line, header);
  }
  return encodeFrame(MESSAGE.logs, body.finish()).subarray(0, -1);
}

/** A pump that stores the output of a VM as hostd does, for an agent that does nothing. */
function pumpOf(id: string) {
  const output = store.sink({ id, org: "acme" }).openOutput?.(join(dir, `${id}.cursor`));
  const charged: number[] = [];
  const agent = { ack() {}, setPaused() {}, charge: (lines: number) => void charged.push(lines) };
  const deliver = async (frames: Uint8Array<ArrayBuffer>, afterNumber: number) => {
    if (output === undefined) throw new Error("logs take encoded output");
    return await output.store({ frames, afterNumber, arrivedUs: 1e15, notBeforeUs: 0, clock: {} });
  };
  return { charged, pump: new LogPump(0, deliver, agent) };
}

test("a guest with much output delays another's by one batch, not by all of it", async () => {
  const flood = pumpOf("flood");
  const victim = pumpOf("victim");
  for (let frame = 0; frame < 80; frame++) flood.pump.push(emptyLines(frame * 500 + 1, (frame + 1) * 500));

  victim.pump.push(emptyLines(1, 1));
  await victim.pump.drained();

  expect(victim.pump.lastDelivered).toBe(1);
  expect(flood.pump.lastDelivered).toBeLessThan(20_000);
  await flood.pump.drained();
  expect(flood.pump.lastDelivered).toBe(40_000);
  expect(flood.charged.reduce((sum, lines) => sum + lines)).toBe(40_000);
  expect(flood.charged.length).toBeGreaterThan(10);
});

test("an output that is closed writes no cursor any more: the folder of its VM can be removed", async () => {
  const flood = pumpOf("flood");
  for (let frame = 0; frame < 40; frame++) flood.pump.push(emptyLines(frame * 500 + 1, (frame + 1) * 500));
  const cursorFile = join(dir, "failed.cursor");
  const output = store.sink({ id: "failed", org: "acme" }).openOutput?.(cursorFile);

  await output?.close();
  expect(existsSync(cursorFile)).toBe(true);
  rmSync(cursorFile);
  await flood.pump.drained();
  await store.flush();

  expect(existsSync(cursorFile)).toBe(false);
});
