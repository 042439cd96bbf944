import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { tidyTables } from "../../../src/imagecache/squashfs/squashfs-tables.ts";
import { SquashfsWriter } from "../../../src/imagecache/squashfs/squashfs-writer.ts";
import { writeTar } from "../../support/oci/index.ts";
import { type TemporaryFolder, temporaryFolder } from "../../support/temporary.ts";
import { readSquashfs } from "./fixture.ts";

let folder: TemporaryFolder;
beforeEach(() => {
  folder = temporaryFolder("squash");
});
afterEach(() => folder.remove());

/** Hands over as much as is taken, at most 100 MB. */
async function pour(writer: SquashfsWriter): Promise<void> {
  await writer.write(writeTar([{ path: "big", claimedSize: 100_000_000 }], false));
  for (let i = 0; i < 100; i++) await writer.write(Buffer.alloc(1_000_000, i));
}

test("an archive becomes an image that other tools read, however few owners it has", async () => {
  const path = join(folder.path, "x.squashfs");
  const writer = await SquashfsWriter.start(path, folder.path);
  await writer.write(
    writeTar([
      { path: "d", type: "dir", mode: 0o700 },
      { path: "d/f", content: "x" },
    ]),
  );
  await writer.finish();

  await tidyTables(path);

  expect([...readSquashfs(path).keys()]).toEqual(["", "d", "d/f"]);
});

test("a full disk is told apart from other failures", async () => {
  // A device that takes nothing, and a file system that has no room.
  const writer = await SquashfsWriter.start("/dev/full", "/proc");

  const writing = pour(writer).then(() => writer.finish());

  await expect(writing).rejects.toMatchObject({
    code: "RESOURCE_EXHAUSTED",
    reason: "DISK_FULL",
    facts: { directory: "/proc" },
  });
});

test("a writer that dies is noticed while there is still something to write", async () => {
  const writer = await SquashfsWriter.start("/dev/full", folder.path);

  await expect(pour(writer)).rejects.toMatchObject({ code: "INTERNAL", reason: "SQUASH_FAILED" });
});

test("an archive that cannot be stored fails rather than being stored in part", async () => {
  const writer = await SquashfsWriter.start(join(folder.path, "x.squashfs"), folder.path);
  await writer.write(Buffer.alloc(10_240, 1));

  await expect(writer.finish()).rejects.toMatchObject({ reason: "SQUASH_FAILED" });
});

test("one that is broken off ends at once", async () => {
  const path = join(folder.path, "x.squashfs");
  const writer = await SquashfsWriter.start(path, folder.path);
  await writer.write(writeTar([{ path: "a", content: "x" }], false));

  await writer.abort();

  await expect(writer.finish()).rejects.toMatchObject({ reason: "SQUASH_FAILED" });
});
