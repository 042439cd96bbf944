import { expect, test } from "vitest";
import { LogPump } from "./log-pump.ts";

/** A frame that stands for the lines up to a number. */
const frame = (number: number, size = 8): Buffer => {
  const bytes = Buffer.alloc(size, 1);
  bytes.writeUInt8(number);
  return bytes;
};

/** Stands in for the agent. */
function source() {
  const acks: number[] = [];
  const pauses: boolean[] = [];
  const charges: number[] = [];
  return {
    ...{ acks, pauses, charges },
    ack: (number: number) => void acks.push(number),
    setPaused: (isPaused: boolean) => void pauses.push(isPaused),
    charge: (lines: number) => void charges.push(lines),
  };
}

/** Takes batches of frames as the thread of the logs does, buffers included. */
function sink(gate: Promise<void> = Promise.resolve()) {
  const batches: number[][] = [];
  const deliver = async (frames: Uint8Array<ArrayBuffer>, afterNumber: number) => {
    const bytes = Buffer.from(structuredClone(frames, { transfer: [frames.buffer] }));
    await gate;
    const numbers: number[] = [];
    for (let from = 0; from < bytes.length; from = bytes.indexOf(0, from) + 1) numbers.push(bytes[from] ?? 0);
    batches.push(numbers);
    const fresh = numbers.filter((number) => number > afterNumber);
    return { lastNumber: Math.max(afterNumber, ...numbers), lines: fresh.length, guestUs: 0 };
  };
  return { batches, deliver };
}

test("delivers frames in order, acknowledges their lines, and has the guest charged for them", async () => {
  const { batches, deliver } = sink();
  const guest = source();
  const pump = new LogPump(0, deliver, guest);

  pump.push(frame(1));
  pump.push(frame(2));
  pump.push(frame(3));
  await pump.drained();

  expect(batches.flat()).toEqual([1, 2, 3]);
  expect(guest.acks.at(-1)).toBe(3);
  expect(guest.charges.reduce((sum, lines) => sum + lines)).toBe(3);
});

test("continues behind the last line that an earlier hostd delivered", async () => {
  const { deliver } = sink();
  const guest = source();
  const pump = new LogPump(7, deliver, guest);

  pump.push(frame(6));
  await pump.drained();

  expect(pump.lastDelivered).toBe(7);
  expect(guest.charges).toEqual([0]);
});

test("pauses reading while its sink is slow, and delivers in parts", async () => {
  const gate = Promise.withResolvers<void>();
  const { batches, deliver } = sink(gate.promise);
  const guest = source();
  const pump = new LogPump(0, deliver, guest);

  for (let number = 1; number <= 40; number++) pump.push(frame(number, 16_000));

  expect(guest.pauses.at(-1)).toBe(true);
  gate.resolve();
  await pump.drained();
  expect(guest.pauses.at(-1)).toBe(false);
  expect(pump.lastDelivered).toBe(40);
  expect(batches.length).toBeGreaterThan(8);
});

test("waits for an announced line, but not for ever", async () => {
  const { deliver } = sink();
  const pump = new LogPump(0, deliver, source());

  const drained = pump.drainedUpTo(1, 60_000);
  pump.push(frame(1));
  await drained;
  await pump.drainedUpTo(99, 1);

  expect(pump.lastDelivered).toBe(1);
});

test("takes nothing once it is closed", async () => {
  const { batches, deliver } = sink();
  const pump = new LogPump(0, deliver, source());

  pump.close();
  pump.push(frame(1));
  await pump.drainedUpTo(1, 60_000);

  expect(batches).toEqual([]);
});
