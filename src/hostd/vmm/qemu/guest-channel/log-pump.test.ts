import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LogPump, readCursor } from "./log-pump.ts";
import type { GuestLine } from "./protocol.ts";

let dir = "";
let file = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "wh-pump-"));
  file = join(dir, "cursor");
});
afterEach(() => rmSync(dir, { recursive: true }));

const line = (number: number, text = `line ${number}`): GuestLine => ({
  number,
  timeUs: 0,
  stream: "stdout",
  text,
});

/** Stands in for the agent. */
function source() {
  const acks: number[] = [];
  const pauses: boolean[] = [];
  return {
    ...{ acks, pauses },
    ack: (number: number) => void acks.push(number),
    setPaused: (isPaused: boolean) => void pauses.push(isPaused),
  };
}

describe("a pump", () => {
  test("delivers each line once, in order, and acknowledges them", async () => {
    const delivered: string[] = [];
    const guest = source();
    const pump = new LogPump(file, ({ text }) => void delivered.push(text), guest);

    pump.push([line(1), line(2)]);
    pump.push([line(2), line(1), line(3)]);
    await pump.drained();

    expect(delivered).toEqual(["line 1", "line 2", "line 3"]);
    expect(guest.acks.at(-1)).toBe(3);
    pump.close();
  });

  test("continues behind the last line that was delivered", async () => {
    const delivered: string[] = [];
    const deliver = ({ text }: GuestLine) => void delivered.push(text);
    const first = new LogPump(file, deliver, source());
    first.push([line(1), line(2)]);
    await first.drained();
    first.close();

    expect(readCursor(file)).toBe(2);
    const second = new LogPump(file, deliver, source());
    second.push([line(1), line(2), line(3)]);
    await second.drained();
    second.close();

    expect(delivered).toEqual(["line 1", "line 2", "line 3"]);
  });

  test("pauses reading while its sink is slow", async () => {
    const gate = Promise.withResolvers<void>();
    const guest = source();
    const pump = new LogPump(file, () => gate.promise, guest);

    for (let number = 1; number <= 80; number++) pump.push([line(number, "x".repeat(16_000))]);

    expect(guest.pauses.at(-1)).toBe(true);
    gate.resolve();
    await pump.drained();
    expect(guest.pauses.at(-1)).toBe(false);
    expect(pump.lastDelivered).toBe(80);
    pump.close();
  });

  test("waits for an announced line, but not for ever", async () => {
    const pump = new LogPump(file, () => {}, source());

    const drained = pump.drainedUpTo(1, 60_000);
    pump.push([line(1)]);
    await drained;
    await pump.drainedUpTo(99, 1);

    expect(pump.lastDelivered).toBe(1);
    pump.close();
  });

  test("survives a sink that fails", async () => {
    const delivered: string[] = [];
    const deliver = ({ text }: GuestLine): void => {
      if (text === "line 1") throw new Error("disk full");
      delivered.push(text);
    };
    const pump = new LogPump(file, deliver, source());

    pump.push([line(1), line(2)]);
    await pump.drained();

    expect(delivered).toEqual(["line 2"]);
    pump.close();
  });
});
