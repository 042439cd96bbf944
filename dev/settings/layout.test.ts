import { chmodSync, mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { layoutOf } from "./layout.ts";

let folder: string;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "wh-lay-")));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("a short folder is used under its own name", () => {
  expect(layoutOf(folder).base).toBe(folder);
});

test("the parts of a fleet in a long folder get a short name for it, the same every time", () => {
  const long = join(folder, "a".repeat(90), ".windhover");

  const { base, folder: own } = layoutOf(long);

  expect(own).toBe(long);
  expect(base.length).toBeLessThan(50);
  expect(realpathSync(base)).toBe(long);
  expect(layoutOf(long).base).toBe(base);
  rmSync(base);
});

test("a fleet's folder is closed to others, and a folder with other things keeps its mode", () => {
  chmodSync(folder, 0o755);
  const mode = () => statSync(layoutOf(folder).folder).mode & 0o777;

  writeFileSync(join(folder, "somebody's"), "");
  expect(mode()).toBe(0o755);
  writeFileSync(join(folder, "fleet.json"), "{}");
  expect(mode()).toBe(0o711);
});
