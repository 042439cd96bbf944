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

test("a host without a file is open", async () => {
  expect((await SchedulingFile.open(folder.path)).current).toBe("open");
});

test("a change survives a restart", async () => {
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

test("concurrent changes are made in order", async () => {
  const file = await SchedulingFile.open(folder.path);
  expect(await Promise.all([file.set("draining"), file.set("open"), file.set("cordoned")])).toEqual([
    "open",
    "draining",
    "open",
  ]);
  expect((await SchedulingFile.open(folder.path)).current).toBe("cordoned");
});

test("an unknown word cordons the host", async () => {
  writeFileSync(join(folder.path, "scheduling"), "opne\n");
  expect((await SchedulingFile.open(folder.path)).current).toBe("cordoned");
});
