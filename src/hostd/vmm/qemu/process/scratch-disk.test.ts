import { closeSync, openSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { temporaryFolder } from "../../../../../test/support/temporary.ts";
import { allocatedBlocks, isUnwritten, restoreDisk } from "./scratch-disk.ts";

const SIZE = 1024 ** 3;
const EXTENTS = [
  [0, 8_192],
  [4_194_304, 4_096],
] as const;
const DATA = Buffer.alloc(12_288, 7);

let folder: ReturnType<typeof temporaryFolder>;
let disk: string;
let blocks: number;
beforeEach(async () => {
  folder = temporaryFolder("scratch");
  disk = join(folder.path, "disk");
  restoreDisk(disk, SIZE, EXTENTS, DATA);
  blocks = await allocatedBlocks(disk);
});
afterEach(() => folder.remove());

function write(at: number, byte: number): void {
  const fd = openSync(disk, "r+");
  writeSync(fd, Buffer.of(byte), 0, 1, at);
  closeSync(fd);
}

test("a disk is as large as it should be, and takes next to nothing", async () => {
  expect(statSync(disk).size).toBe(SIZE);
  expect(blocks * 512).toBeLessThan(1024 ** 2);
  expect(await isUnwritten(disk, blocks, EXTENTS, DATA)).toBe(true);
});

test("a disk that was mounted, which changes its superblock alone, counts as unwritten", async () => {
  for (const at of [1_068, 1_082, 2_047]) write(at, 9);
  expect(await isUnwritten(disk, blocks, EXTENTS, DATA)).toBe(true);
});

test.for([
  ["the next byte", 2_048],
  ["the last of an extent", 4_194_304 + 4_095],
  ["one where there was nothing", 512 * 1024 ** 2],
] as const)("a disk is written to when %s has changed", async ([, at]) => {
  write(at, 9);
  expect(await isUnwritten(disk, blocks, EXTENTS, DATA)).toBe(false);
});
