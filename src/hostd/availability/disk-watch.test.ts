import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { DiskWatch } from "./disk-watch.ts";

const ROOM = { bsize: 4_096, blocks: 1_000, bavail: 500 };

test("a folder's file system is looked at, in bytes", async () => {
  const { space } = await DiskWatch.open(tmpdir());

  expect(space?.size).toBeGreaterThan(0);
  expect(space?.free).toBeLessThanOrEqual(space?.size ?? 0);
});

test("it is as it was when it was looked at last, until it is looked at again", async () => {
  let room = ROOM;
  const watch = await DiskWatch.open("/state", async () => room);
  room = { ...ROOM, bavail: 0 };

  expect(watch.space).toEqual({ size: 4_096_000, free: 2_048_000 });

  await watch.look();

  expect(watch.space).toEqual({ size: 4_096_000, free: 0 });
});

test("a look that fails leaves it as it was; before the first it is not known", async () => {
  const outcomes = [new Error("EIO"), ROOM, new Error("EIO")];
  const watch = await DiskWatch.open("/state", async () => {
    const outcome = outcomes.shift();
    if (outcome === undefined || outcome instanceof Error) throw outcome;
    return outcome;
  });

  expect(watch.space).toBeUndefined();

  await watch.look();
  await watch.look();

  expect(watch.space).toEqual({ size: 4_096_000, free: 2_048_000 });
});
