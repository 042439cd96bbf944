import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { tidyTables } from "../../../../src/imagecache/squashfs/squashfs-tables.ts";
import { SquashfsWriter } from "../../../../src/imagecache/squashfs/squashfs-writer.ts";
import { writeTar } from "../../../support/oci/index.ts";
import { type TemporaryFolder, temporaryFolder } from "../../../support/temporary.ts";
import { readSquashfs } from "../fixture.ts";

const LIMITS = { maxBytes: 1e9, memoryBytes: 1e9 };
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
  const writer = new SquashfsWriter(path, LIMITS);
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

test("a writer that dies is noticed while there is still something to write", async () => {
  const writer = new SquashfsWriter("/dev/full", LIMITS);

  await expect(pour(writer)).rejects.toMatchObject({ code: "INTERNAL", reason: "SQUASH_FAILED" });
});

test("an archive that cannot be stored fails rather than being stored in part", async () => {
  const writer = new SquashfsWriter(join(folder.path, "x.squashfs"), LIMITS);
  await writer.write(Buffer.alloc(10_240, 1));

  await expect(writer.finish()).rejects.toMatchObject({
    code: "FAILED_PRECONDITION",
    reason: "IMAGE_BUILD_FAILED",
  });
});

test("one that is broken off ends at once", async () => {
  const path = join(folder.path, "x.squashfs");
  const writer = new SquashfsWriter(path, LIMITS);
  await writer.write(writeTar([{ path: "a", content: "x" }], false));

  await writer.abort();

  await expect(writer.finish()).rejects.toMatchObject({ reason: "SQUASH_FAILED" });
});

test("one that would write more than it may ends, and says how much that is", async () => {
  const writer = new SquashfsWriter(join(folder.path, "x.squashfs"), { ...LIMITS, maxBytes: 5_000_000 });
  await writer.write(writeTar([{ path: "big", claimedSize: 20_000_000 }], false));

  const writing = writer.write(randomBytes(20_000_000))?.then(() => writer.finish());

  await expect(writing).rejects.toMatchObject({
    reason: "IMAGE_TOO_LARGE",
    facts: { limit: "5000000 bytes" },
  });
});

test("one that would take more memory than it may ends, and says how much that is", async () => {
  const writer = new SquashfsWriter(join(folder.path, "x.squashfs"), {
    ...LIMITS,
    memoryBytes: 20 * 1024 ** 2,
  });

  const writing = writer.write(
    writeTar(Array.from({ length: 50_000 }, (_, i) => ({ path: `${i % 500}/${i}` }))),
  );

  await expect(writing?.then(() => writer.finish())).rejects.toMatchObject({
    code: "FAILED_PRECONDITION",
    reason: "IMAGE_BUILD_FAILED",
    facts: { limit: "20 MiB of memory" },
  });
});

test("more owners than a squashfs can hold are the image's fault", async () => {
  const writer = new SquashfsWriter(join(folder.path, "x.squashfs"), LIMITS);
  const entries = Array.from({ length: 66_000 }, (_, i) => ({ path: `${i % 256}/${i}`, uid: i, gid: i }));

  await writer.write(writeTar(entries));

  await expect(writer.finish()).rejects.toMatchObject({
    code: "FAILED_PRECONDITION",
    reason: "IMAGE_BUILD_FAILED",
    message: expect.stringContaining("overflow"),
  });
});
