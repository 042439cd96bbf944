import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { machineIn } from "../../../support/hostd/machine-builder.ts";
import { EVENT, NEW, next, StoreFolder } from "./store-fixture.ts";

let folder: StoreFolder;
beforeEach(() => {
  folder = new StoreFolder();
});
afterEach(() => folder.close());

describe("the outbox", () => {
  test("has each change once, in order, without gaps, until it is acknowledged", async () => {
    const store = await folder.open();
    await store.intend(NEW);
    await Promise.all([store.note(next(NEW.machine, { state: "created" }))]);

    const entries = await store.outbox(0, 10);
    expect(entries.map(({ sequence, machine, event }) => [sequence, machine.state, event?.id])).toEqual([
      [1, "creating", EVENT.id],
      [2, "created", EVENT.id],
    ]);
    await store.acknowledge(1);

    expect((await store.outbox(0, 10)).map(({ sequence }) => sequence)).toEqual([2]);
    expect(store.acknowledged).toBe(1);
  });

  test("sequences go on where they were after all was acknowledged and hostd restarted", async () => {
    const before = await folder.open();
    await before.intend(NEW);
    await before.acknowledge(1);
    await before.close();

    const after = await folder.open();
    await after.intend(next(NEW.machine));

    expect((await after.outbox(0, 10)).map(({ sequence }) => sequence)).toEqual([2]);
    expect(after.acknowledged).toBe(1);
  });

  test("a destroyed machine is pruned only when its events are acknowledged and it is old enough", async () => {
    const store = await folder.open();
    await store.intend({ machine: machineIn("destroyed", { updatedAtMs: 100 }), event: EVENT });

    await store.prune(1_000);
    expect(store.get(NEW.machine.id)).toBeDefined();
    await store.acknowledge(1);
    await store.prune(100);
    expect(store.get(NEW.machine.id)).toBeDefined();
    await store.prune(101);

    expect(store.get(NEW.machine.id)).toBeUndefined();
  });
});
