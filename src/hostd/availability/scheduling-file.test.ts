import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type TemporaryFolder, temporaryFolder } from "../../../test/support/temporary.ts";
import { SchedulingFile } from "./scheduling-file.ts";

let folder: TemporaryFolder;
beforeEach(() => {
  folder = temporaryFolder("scheduling");
});
afterEach(() => folder.remove());

test("a host of which nothing was said is open", async () => {
  expect((await SchedulingFile.open(folder.path)).current).toBe("open");
});

test("what was said is known to the next hostd", async () => {
  const file = await SchedulingFile.open(folder.path);
  let changes = 0;
  file.onChange = () => changes++;
  expect(await file.set("cordoned")).toBe("open");
  expect(await file.set("cordoned")).toBe("cordoned");
  expect(changes).toBe(1);
  expect(await file.set("draining")).toBe("cordoned");
  expect(file.current).toBe("draining");

  expect((await SchedulingFile.open(folder.path)).current).toBe("draining");
});

test("changes at the same time take turns, and the last one counts", async () => {
  const file = await SchedulingFile.open(folder.path);
  expect(await Promise.all([file.set("draining"), file.set("open"), file.set("cordoned")])).toEqual([
    "open",
    "draining",
    "open",
  ]);
  expect((await SchedulingFile.open(folder.path)).current).toBe("cordoned");
});

test("a word that nobody knows keeps new machines away", async () => {
  writeFileSync(join(folder.path, "scheduling"), "opne\n");
  expect((await SchedulingFile.open(folder.path)).current).toBe("cordoned");
});
