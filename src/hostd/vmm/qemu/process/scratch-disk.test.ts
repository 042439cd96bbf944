import { closeSync, openSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { temporaryFolder } from "../../../../../test/support/temporary.ts";
import { isAsMade, restoreDisk, roomOf } from "./scratch-disk.ts";

const SIZE = 1024 ** 3;
const EXTENTS = [
  [0, 8_192],
  [4_194_304, 4_096],
] as const;
const DATA = Buffer.alloc(12_288, 7);

let folder: ReturnType<typeof temporaryFolder>;
let disk: string;
let room: number;
beforeEach(async () => {
  folder = temporaryFolder("scratch");
  disk = join(folder.path, "disk");
  restoreDisk(disk, SIZE, EXTENTS, DATA);
  room = await roomOf(disk);
});
afterEach(() => folder.remove());

function write(at: number, byte: number): void {
  const fd = openSync(disk, "r+");
  writeSync(fd, Buffer.of(byte), 0, 1, at);
  closeSync(fd);
}

test("a disk is as large as it should be, and takes next to nothing", async () => {
  expect(statSync(disk).size).toBe(SIZE);
  expect(room * 512).toBeLessThan(1024 ** 2);
  expect(await isAsMade(disk, room, EXTENTS, DATA)).toBe(true);
});

test("a disk that has been mounted is as it was: that is noted in the superblock alone", async () => {
  for (const at of [1_068, 1_082, 2_047]) write(at, 9);
  expect(await isAsMade(disk, room, EXTENTS, DATA)).toBe(true);
});

test.for([
  ["the next byte", 2_048],
  ["the last of an extent", 4_194_304 + 4_095],
  ["one where there was nothing", 512 * 1024 ** 2],
] as const)("a disk is not as it was when %s has been written", async ([, at]) => {
  write(at, 9);
  expect(await isAsMade(disk, room, EXTENTS, DATA)).toBe(false);
});
