import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readConfig } from "./config.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "wh-config-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function env(more: Record<string, string> = {}): Record<string, string> {
  return {
    HOSTD_NUMBER: "7",
    HOSTD_REGION: "ord",
    HOSTD_DIR: join(dir, "state"),
    HOSTD_IMAGECACHE: "127.0.0.1:7301",
    TOKEN_KEYS_DIR: "/keys",
    ...more,
  };
}

test("promises four vCPUs for each real one and part of memory and disk when told nothing else", () => {
  const { capacity } = readConfig(env());

  expect(capacity.cpus).toBe(4 * cpus().length);
  expect(capacity.memoryMb).toBeGreaterThan(0);
  expect(capacity.diskMb).toBeGreaterThan(0);
});

test("reads a range of ports and shows it as it was written", () => {
  const config = readConfig(env({ HOSTD_PORT_RANGE: "100-200" }));

  expect(config.portRange).toMatchObject({ from: 100, to: 200 });
  expect(config.show()).toContain("HOSTD_PORT_RANGE=100-200");
});

test("names everything that is wrong at once", () => {
  const wrong = env({ HOSTD_NUMBER: "1048576", HOSTD_PORT_RANGE: "9-1", HOSTD_VMM: "xen", HOSTD_REGION: "" });

  expect(() => readConfig(wrong)).toThrow(
    expect.objectContaining({
      problems: expect.arrayContaining([
        expect.stringContaining("HOSTD_NUMBER"),
        expect.stringContaining("HOSTD_PORT_RANGE"),
        expect.stringContaining("HOSTD_VMM"),
        expect.stringContaining("HOSTD_REGION"),
      ]),
    }),
  );
});
