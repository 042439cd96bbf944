import { chmodSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type TemporaryFolder, temporaryFolder } from "../../../test/support/temporary.ts";
import { makePrivateFolder } from "./private-folder.ts";

let folder: TemporaryFolder;
beforeEach(() => {
  folder = temporaryFolder("private");
});
afterEach(() => folder.remove());

test.each(["one that is made", "one that was open"])("%s is its owner's alone", (which) => {
  const path = join(folder.path, "data");
  if (which === "one that was open") mkdirSync(path, { mode: 0o755 });

  makePrivateFolder(path);

  expect(statSync(path).mode & 0o7777).toBe(0o700);
});

test("a folder that all users share, as /tmp is, keeps its mode and is refused", () => {
  const path = join(folder.path, "tmp");
  mkdirSync(path);
  chmodSync(path, 0o1777);

  expect(() => makePrivateFolder(path)).toThrow(expect.objectContaining({ reason: "FOLDER_SHARED" }));
  expect(statSync(path).mode & 0o7777).toBe(0o1777);
});
