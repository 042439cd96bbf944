import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import type { World } from "../fixture.ts";
import { CreateWorld, DyingDatabase } from "./fixture.ts";

let creates: CreateWorld;
let world: World;

beforeAll(async () => {
  creates = await CreateWorld.open();
  world = creates.world;
});
beforeEach(() => world.clear());
afterAll(() => creates.close());

/** The calls of a scheduler that a create waits for before a host is asked. */
function before(): readonly string[] {
  return world.scheduler.calls.filter((method) => method !== "release");
}

test("a create asks the scheduler once before the host: the auction claims its best offer", async () => {
  await creates.api().create();

  expect(before()).toEqual(["reserve"]);
  await creates.expectOneMachine();
});

test("of a scheduler that does not claim with the auction, the claim comes after", async () => {
  world.scheduler.claims = false;

  await creates.api().create();

  expect(before()).toEqual(["reserve", "claim"]);
  await creates.expectOneMachine();
});

test("the runner-up is claimed before it is asked", async () => {
  world.host(1).before("createMachine", () => {
    throw new Fault("FAILED_PRECONDITION", "APP_PRESENT", "another is here");
  });

  await creates.api().create();

  expect(before()).toEqual(["reserve", "claim"]);
  expect(world.onHosts[0]?.id).toMatch(/^00002/);
  await creates.expectOneMachine();
});

test("an auction that is somebody else's by now is not awarded: another is held", async () => {
  world.scheduler.before("reserve", async () => {
    // As if it had been stored and claimed before this one asked.
    world.scheduler.before("claim", () => {
      throw new Fault("ABORTED", "RESERVATION_CLAIMED", "somebody else's");
    });
    world.scheduler.claims = false;
  });

  await creates.api().create();

  expect(before()).toEqual(["reserve", "claim", "reserve", "claim"]);
  await creates.expectOneMachine();
});

test("whoever goes on with a create whose auction was not stored finds it claimed already", async () => {
  const dying = creates.api(new DyingDatabase(creates.database, 2, "before"));
  await expect(dying.create()).rejects.toThrow("died");
  await creates.leaseRunsOut();

  await creates.reconcileUntilQuiet(creates.api());

  expect(world.scheduler.excluded).toEqual([[], []]);
  expect(before()).toEqual(["reserve", "reserve", "claim"]);
  await creates.expectOneMachine();
});

test("whoever goes on when the reservation is over holds another auction, and blames no host", async () => {
  // The api shuts down between the auction, which is stored then, and the award.
  const api = creates.api(creates.database, (saga) => ({
    ...saga,
    steps: saga.steps.map((step) => ({
      ...step,
      async run(ctx, signal) {
        if (step.name === "award") void api.runner.close();
        signal.throwIfAborted();
        await step.run(ctx, signal);
      },
    })),
  }));
  await expect(api.create()).rejects.toMatchObject({ reason: "SERVER_DRAINING" });
  expect(await world.sql("select state->'auctions'->0->'claimedHost' as host from sagas")).toEqual([
    { host: 1 },
  ]);
  world.scheduler.reservations.clear();
  for (const host of world.scheduler.hosts) host.holds.clear();

  await creates.reconcileUntilQuiet(creates.api());

  expect(before()).toEqual(["reserve", "claim", "reserve", "claim"]);
  expect(world.scheduler.excluded).toEqual([[], []]);
  expect(world.host(1).calls.filter((method) => method === "createMachine")).toHaveLength(1);
  await creates.expectOneMachine();
});
