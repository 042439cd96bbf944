import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { temporaryFolder } from "../../../test/support/temporary.ts";
import { systemClock } from "../../lib/runtime/clock.ts";
import { CacheDir } from "./cache-dir.ts";
import { DiskBudget } from "./disk-budget.ts";
import { ImageStore } from "./image-store.ts";

const MIB = 1024 * 1024;

const folder = temporaryFolder("budget");
let dir: CacheDir;
let budget: DiskBudget;
beforeEach(async () => {
  dir = await CacheDir.open(folder.path);
  budget = new DiskBudget(dir, new ImageStore(dir, systemClock), 10 * MIB, () => false);
});
afterEach(async () => {
  await dir.close();
  folder.remove();
});

test("what is reserved for a file counts until it is written, and others do not get it", async () => {
  const path = join(dir.tmp, "image");
  const reserved = await budget.reserve(path, 8 * MIB);
  writeFileSync(path, Buffer.alloc(MIB));

  expect(await budget.usedBytes()).toBe(8 * MIB);
  await expect(budget.makeRoom(3 * MIB)).rejects.toMatchObject({ reason: "DISK_FULL" });
  await expect(budget.reserve(join(dir.tmp, "other"), 3 * MIB)).rejects.toMatchObject({
    reason: "DISK_FULL",
  });
  await budget.reserve(join(dir.tmp, "other"), 2 * MIB);

  reserved[Symbol.dispose]();
  expect(await budget.usedBytes()).toBe(3 * MIB);
});

test("a file that grows beyond what was reserved counts in full", async () => {
  const path = join(dir.tmp, "image");
  await budget.reserve(path, MIB);
  writeFileSync(path, Buffer.alloc(3 * MIB));
  expect(await budget.usedBytes()).toBe(3 * MIB);

  truncateSync(path, 0);
  expect(await budget.usedBytes()).toBe(MIB);
});

test("what is reserved before the file is there counts", async () => {
  await budget.reserve(join(dir.tmp, "image"), 8 * MIB);

  await expect(budget.makeRoom(3 * MIB)).rejects.toMatchObject({ reason: "DISK_FULL" });
});
