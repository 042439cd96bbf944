import { beforeEach, expect, test } from "vitest";
import { Uses } from "./uses.ts";

let now = 0;
let sent: string[] = [];
let uses: Uses;

beforeEach(() => {
  now = 0;
  sent = [];
  uses = new Uses(
    {
      use: (id) => sent.push(`use ${id}`),
      release: (released) =>
        sent.push(...released.map(({ machineId, unusedMs }) => `release ${machineId} ${unusedMs}`)),
    },
    () => now,
  );
  uses.attached();
  uses.heard(30_000);
});

test("a machine is asked for once, however many requests it has, and each waits for the acknowledgement", () => {
  let known = 0;
  uses.begin("m");
  uses.begin("m");
  for (let i = 0; i < 2; i++) expect(uses.whenKnown("m", () => known++)).toBe(true);
  expect([sent, known, uses.isConfirmed("m")]).toEqual([["use m"], 0, false]);

  uses.acknowledged("m");

  expect([known, uses.isConfirmed("m")]).toEqual([2, true]);
  uses.begin("m");
  expect(uses.whenKnown("m", () => known++)).toBe(false);
  expect(sent).toEqual(["use m"]);
});

test("it is released a while after its last request, with the time since then", () => {
  uses.begin("m");
  uses.acknowledged("m");
  uses.begin("m");
  now = 1_000;
  uses.end("m");
  uses.end("m");

  now = 10_999;
  uses.sweep(() => 10_000);
  expect(sent).toEqual(["use m"]);
  now = 11_500;
  uses.sweep(() => 10_000);
  expect(sent).toEqual(["use m", "release m 10500"]);

  uses.begin("m");
  expect(sent.at(-1)).toBe("use m");
  expect(uses.isConfirmed("m")).toBe(false);
});

test("it is not released while a request needs it, nor before it is acknowledged", () => {
  uses.begin("a");
  uses.acknowledged("a");
  uses.begin("b");
  uses.end("b");
  now = 60_000;

  uses.sweep(() => 10_000);

  expect(sent).toEqual(["use a", "use b"]);
});

test("a use counts for a while after the host's last word, whether or not its stream is known to be lost", () => {
  uses.begin("m");
  uses.acknowledged("m");
  now = 5_000;
  uses.heard(undefined);

  now = 20_000;
  uses.lost();

  now = 24_999;
  expect(uses.isConfirmed("m")).toBe(true);
  now = 25_000;
  expect(uses.isConfirmed("m")).toBe(false);
});

test("requests that wait for an acknowledgement go on when the stream is lost", () => {
  let known = 0;
  uses.begin("m");
  uses.whenKnown("m", () => known++);

  uses.lost();

  expect([known, uses.isConfirmed("m")]).toEqual([1, false]);
  uses.begin("m");
  expect(uses.whenKnown("m", () => known++)).toBe(false);
});

test("a new stream is told of all uses, and each is acknowledged anew", () => {
  uses.begin("a");
  uses.acknowledged("a");
  uses.begin("b");
  uses.lost();

  expect(uses.attached()).toEqual(["a", "b"]);
  expect(uses.isConfirmed("a")).toBe(false);
  uses.acknowledged("a");
  expect(uses.isConfirmed("a")).toBe(true);
});
