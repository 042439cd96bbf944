import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { DiskWatch } from "./disk-watch.ts";

const ROOM = { bsize: 4_096, blocks: 1_000, bavail: 500 };

test("reads the size of a folder's file system, in bytes", async () => {
  const watch = new DiskWatch(tmpdir());
  await watch.refresh();
  const { space } = watch;

  expect(space?.size).toBeGreaterThan(0);
  expect(space?.free).toBeLessThanOrEqual(space?.size ?? 0);
});

test("keeps the size until the next refresh", async () => {
  let room = ROOM;
  const watch = new DiskWatch("/state", async () => room);
  await watch.refresh();
  room = { ...ROOM, bavail: 0 };

  expect(watch.space).toEqual({ size: 4_096_000, free: 2_048_000 });

  await watch.refresh();

  expect(watch.space).toEqual({ size: 4_096_000, free: 0 });
});

test("a refresh that fails changes nothing; before the first success the size is unknown", async () => {
  const outcomes = [new Error("EIO"), ROOM, new Error("EIO")];
  const watch = new DiskWatch("/state", async () => {
    const outcome = outcomes.shift();
    if (outcome === undefined || outcome instanceof Error) throw outcome;
    return outcome;
  });
  await watch.refresh();

  expect(watch.space).toBeUndefined();

  await watch.refresh();
  await watch.refresh();

  expect(watch.space).toEqual({ size: 4_096_000, free: 2_048_000 });
});
