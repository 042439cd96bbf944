import {
  appendFileSync,
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { boundLog, tail } from "./log-file.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "wh-log-"));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("a log that has grown is set aside while its writer goes on writing to it", () => {
  const log = join(folder, "log");
  const writer = openSync(log, "a");
  writeSync(writer, "before\n");

  boundLog(log, 5);
  writeSync(writer, "after\n");
  closeSync(writer);

  expect(readFileSync(`${log}.1`, "utf8")).toBe("before\n");
  expect(readFileSync(log, "utf8")).toBe("after\n");
});

test("a small log, and one that is not there, are left alone", () => {
  const log = join(folder, "log");
  boundLog(log, 5);
  writeFileSync(log, "tiny");
  boundLog(log, 5);

  expect(readFileSync(log, "utf8")).toBe("tiny");
});

test("the end of a log is its last lines", () => {
  const log = join(folder, "log");
  for (let line = 1; line <= 5_000; line += 1) appendFileSync(log, `line ${line}\n`);

  expect(tail(log, 2)).toBe("line 4999\nline 5000");
  expect(tail(join(folder, "none"), 2)).toBe("");
});
