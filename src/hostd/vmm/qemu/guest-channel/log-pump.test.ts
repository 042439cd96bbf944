import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LogLine } from "../../vmm.ts";
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
const toLogLine = ({ timeUs, stream, text }: GuestLine): LogLine => ({ timeUs, stream, text });

/** A guest's end: remembers what it was told. */
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
  test("hands each line over once, in order, and acknowledges them", async () => {
    const taken: string[] = [];
    const guest = source();
    const pump = new LogPump(file, { onLog: ({ text }) => void taken.push(text) }, toLogLine, guest);

    pump.push([line(1), line(2)]);
    pump.push([line(2), line(1), line(3)]);
    await pump.drained();

    expect(taken).toEqual(["line 1", "line 2", "line 3"]);
    expect(guest.acks.at(-1)).toBe(3);
    pump.close();
  });

  test("goes on behind the last line taken when it is opened again", async () => {
    const taken: string[] = [];
    const sink = { onLog: ({ text }: LogLine) => void taken.push(text) };
    const first = new LogPump(file, sink, toLogLine, source());
    first.push([line(1), line(2)]);
    await first.drained();
    first.close();

    expect(readCursor(file)).toBe(2);
    const second = new LogPump(file, sink, toLogLine, source());
    second.push([line(1), line(2), line(3)]);
    await second.drained();
    second.close();

    expect(taken).toEqual(["line 1", "line 2", "line 3"]);
  });

  test("stops listening while its sink is slow, and listens again when it has caught up", async () => {
    const gate = Promise.withResolvers<void>();
    const guest = source();
    const pump = new LogPump(file, { onLog: () => gate.promise }, toLogLine, guest);

    for (let number = 1; number <= 80; number++) pump.push([line(number, "x".repeat(16_000))]);

    expect(guest.pauses.at(-1)).toBe(true);
    gate.resolve();
    await pump.drained();
    expect(guest.pauses.at(-1)).toBe(false);
    expect(pump.takenUpTo).toBe(80);
    pump.close();
  });

  test("waits for an announced line, but not for ever", async () => {
    const pump = new LogPump(file, { onLog() {} }, toLogLine, source());

    const reached = pump.reached(1, 60_000);
    pump.push([line(1)]);
    await reached;
    await pump.reached(99, 1);

    expect(pump.takenUpTo).toBe(1);
    pump.close();
  });

  test("survives a sink that fails", async () => {
    const taken: string[] = [];
    const onLog = ({ text }: LogLine): void => {
      if (text === "line 1") throw new Error("disk full");
      taken.push(text);
    };
    const pump = new LogPump(file, { onLog }, toLogLine, source());

    pump.push([line(1), line(2)]);
    await pump.drained();

    expect(taken).toEqual(["line 2"]);
    pump.close();
  });
});
