import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { CreateRun } from "../../../../src/api/creates/saga/create-run.ts";
import type { Saga } from "../../../../src/lib/saga/saga.ts";
import { NOTHING_LEFT, type World } from "../fixture.ts";
import { CreateWorld, DyingDatabase, STEPS } from "./fixture.ts";

let creates: CreateWorld;
let world: World;

beforeAll(async () => {
  creates = await CreateWorld.open();
  world = creates.world;
});
beforeEach(() => world.clear());
afterAll(() => creates.close());

describe("an api that dies", () => {
  const FEWEST_WRITES = 4;

  test("at any write of a create leaves one that another goes on with, to one machine", async () => {
    const writes = await countWrites();
    // The intent, the host that is asked, the commit, the end; and perhaps what was done when one of them took long.
    expect(writes).toBeGreaterThanOrEqual(FEWEST_WRITES);
    expect(writes).toBeLessThanOrEqual(8);

    for (const when of ["before", "after"] as const) {
      for (let nth = 1; nth <= writes; nth++) {
        await world.clear();
        const dying = creates.api(new DyingDatabase(creates.database, nth, when));
        const created = await dying.create().then(
          () => true,
          () => false,
        );
        // Nobody is told of a machine whose create is not certain to have ended.
        if (nth <= FEWEST_WRITES) expect(created, `${when} write ${nth}`).toBe(false);
        if ((await world.sql("select 1 from sagas")).length === 0) continue;
        await creates.leaseRunsOut();

        await creates.reconcileUntilQuiet(creates.api());

        await creates.expectOneMachine();
      }
    }
  }, 120_000);

  test("at any write of a create that cannot be repeated leaves nothing, once another has seen it", async () => {
    const writes = await countWrites();

    for (let nth = 1; nth <= writes; nth++) {
      await world.clear();
      const dying = creates.api(new DyingDatabase(creates.database, nth, "after"));
      await dying.create({ isRepeatable: false }).catch(() => {});
      const [saga] = await world.sql<{ steps: number }>(
        "select jsonb_array_length(entries) as steps from sagas",
      );
      await creates.leaseRunsOut();

      await creates.reconcileUntilQuiet(creates.api());

      // Once all steps are stored as done its caller may have been answered.
      if (saga?.steps === STEPS.length) await creates.expectOneMachine();
      else expect(await world.leftovers(), `write ${nth}`).toEqual(NOTHING_LEFT);
    }
  }, 120_000);

  test("while it takes a create back leaves nothing, once another has gone on", async () => {
    // From the first after the host was asked to the last of going back.
    for (let nth = 3; nth <= 7; nth++) {
      await world.clear();
      const fail = (saga: Saga<CreateRun>): Saga<CreateRun> => ({
        ...saga,
        steps: saga.steps.map((step) =>
          step.name === "launch" ? { ...step, run: () => Promise.reject(new Error("injected")) } : step,
        ),
      });
      const dying = creates.api(new DyingDatabase(creates.database, nth, "after"), fail);
      await expect(dying.create()).rejects.toThrow();
      await creates.leaseRunsOut();

      await creates.reconcileUntilQuiet(creates.api(creates.database, fail));

      expect(await world.leftovers(), `write ${nth}`).toEqual(NOTHING_LEFT);
    }
  }, 120_000);

  /** How many writes a create that works takes. */
  async function countWrites(): Promise<number> {
    const counting = new DyingDatabase(creates.database, Number.POSITIVE_INFINITY, "before");
    await creates.api(counting).create();
    return counting.writes;
  }
});

describe("two apis", () => {
  test("never run one create at the same time, however often they look", async () => {
    const entered = Promise.withResolvers<void>();
    const leave = Promise.withResolvers<void>();
    world.host(1).before("prepareMachine", async () => {
      entered.resolve();
      await leave.promise;
    });
    const first = creates.api();
    const creating = first.create();
    await entered.promise;

    await creates.api().runner.reconcile();
    await creates.api().runner.reconcile();
    leave.resolve();
    await creating;

    expect(world.host(1).calls.filter((method) => method === "prepareMachine")).toHaveLength(1);
    await creates.expectOneMachine();
  });

  test("go on one after the other: the one that lost its lease writes nothing more", async () => {
    const entered = Promise.withResolvers<void>();
    const leave = Promise.withResolvers<void>();
    world.host(1).before("prepareMachine", async () => {
      entered.resolve();
      await leave.promise;
    });
    const slow = creates.api();
    const creating = slow.create();
    creating.catch(() => {});
    await entered.promise;
    const other = creates.api();
    const owner = async () => (await world.sql("select owner from sagas"))[0]?.["owner"];
    const before = await owner();

    // The slow one may have renewed it in between.
    await expect
      .poll(async () => {
        await creates.leaseRunsOut();
        await other.runner.reconcile();
        return owner();
      })
      .not.toBe(before);
    await creates.reconcileUntilQuiet(other);
    leave.resolve();

    await expect(creating).rejects.toMatchObject({ reason: "LEASE_LOST" });
    await creates.expectOneMachine();
  });
});
