import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { trimChanges } from "../../../../src/api/maintenance/retention.ts";
import type { WatchMachinesRequest } from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { WatchedWorld } from "./fixture.ts";

let watched: WatchedWorld;

beforeAll(async () => {
  watched = await WatchedWorld.open();
});
afterAll(() => watched.close());
beforeEach(() => watched.clear());
afterEach(() => watched.closeWatches());

describe("a watch is refused", () => {
  test("when it names what there is not, or nonsense", async () => {
    const fault = (request: Partial<WatchMachinesRequest>) => watched.watch(request).ended;
    const machine = await watched.create();
    const stranger = await watched.api.as("other", ["machines:read"]);

    expect(await fault({ app: "nowhere" })).toMatchObject({ reason: "APP_NOT_FOUND" });
    expect(await fault({ machineIds: [machine.id, "00001abcdef123"] })).toMatchObject({
      reason: "MACHINE_NOT_FOUND",
      facts: { machine_id: "00001abcdef123" },
    });
    expect(await watched.watch({ machineIds: [machine.id] }, stranger).ended).toMatchObject({
      reason: "MACHINE_NOT_FOUND",
    });
    expect(await fault({ app: "-", machineIds: ["x"], afterPosition: "?" })).toMatchObject({
      reason: "INVALID_FIELDS",
      facts: { fields: "machine_ids,app,after_position" },
    });
    stranger.close();
  });

  test("when changes after its position are not kept any more, or never were", async () => {
    const machine = await watched.create();
    const watcher = await watched.watching();
    await watched.host.report(watched.api, [watched.host.change(machine)]);
    await expect.poll(() => watcher.eventIds.length).toBe(1);
    await watcher.close();
    const later = watched.host.change(machine);
    await watched.host.report(watched.api, [later]);
    const { position } = watcher;

    expect(await trimmed()).toBe(false);
    await watched.world.sql("update machine_changes set create_time = now() - interval '2 hours'");
    expect(await trimmed()).toBe(true);

    expect(await watched.watch({ afterPosition: position }).ended).toMatchObject({
      reason: "POSITION_TOO_OLD",
    });
    expect(await watched.watch({ afterPosition: "zzzzzzzzzzz-0" }).ended).toMatchObject({
      reason: "POSITION_TOO_OLD",
    });
    const anew = await watched.watching();
    expect(anew.told.map(({ id }) => id)).toEqual([machine.id]);
  });

  /** Trims the log of changes. Returns whether that left none. */
  async function trimmed(): Promise<boolean> {
    await trimChanges(watched.api.database);
    return (await watched.world.sql("select 1 from machine_changes")).length === 0;
  }
});

test("a watch counts as a stream of its organisation", async () => {
  const own = await watched.world.api({ inProgressLimits: { calls: 8, streams: 1 } });
  const first = await watched.watching({}, own.user);

  expect(await watched.watch({}, own.user).ended).toMatchObject({ reason: "TOO_MANY_STREAMS" });
  await first.close();
  await own.close();
});
