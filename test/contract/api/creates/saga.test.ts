import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { CreateRun } from "../../../../src/api/creates/saga/create-run.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import type { Step } from "../../../../src/lib/saga/saga.ts";
import { NOTHING_LEFT, type World } from "../fixture.ts";
import { CreateWorld, STEPS } from "./fixture.ts";

let creates: CreateWorld;
let world: World;

beforeAll(async () => {
  creates = await CreateWorld.open();
  world = creates.world;
});
beforeEach(() => world.clear());
afterAll(() => creates.close());

describe("a step that fails, after all it does is done,", () => {
  test.each(STEPS)("%s, is undone with all before it", async (failing) => {
    const api = creates.api(creates.database, (saga) => ({
      ...saga,
      steps: saga.steps.map((step) => (step.name === failing ? { ...step, run: andThenFail(step) } : step)),
    }));

    await expect(api.create()).rejects.toThrow("injected");

    expect(await world.leftovers()).toEqual(NOTHING_LEFT);
    expect(await world.sql("select status from sagas")).toEqual([{ status: "failed" }]);
  });

  function andThenFail(step: Step<CreateRun>): Step<CreateRun>["run"] {
    return async (ctx, signal) => {
      await step.run(ctx, signal);
      throw new Error("injected");
    };
  }
});

test.each(STEPS)("the step %s may run twice, and still there is one machine", async (twice) => {
  const api = creates.api(creates.database, (saga) => ({
    ...saga,
    steps: saga.steps.map((step) => ({
      ...step,
      async run(ctx, signal) {
        await step.run(ctx, signal);
        if (step.name === twice) await step.run(ctx, signal);
      },
    })),
  }));

  await api.create();

  await creates.expectOneMachine();
});

test("every undo may run twice", async () => {
  const api = creates.api(creates.database, (saga) => ({
    ...saga,
    steps: saga.steps.map((step) => ({
      ...step,
      async run(ctx, signal) {
        await step.run(ctx, signal);
        if (step.name === "launch") throw new Error("injected");
      },
      async undo(ctx, signal) {
        await step.undo?.(ctx, signal);
        await step.undo?.(ctx, signal);
      },
    })),
  }));

  await expect(api.create()).rejects.toThrow("injected");

  expect(await world.leftovers()).toEqual(NOTHING_LEFT);
});

describe("an undo that fails", () => {
  test("is stuck, counted, and retried until it works", async () => {
    const unreachable = () => {
      throw new Fault("INTERNAL", "BROKEN", "the host is broken");
    };
    world.host(1).before("prepareMachine", () => {
      throw new Fault("FAILED_PRECONDITION", "LAYER_CORRUPT", "no archive");
    });
    world.host(1).before("destroyMachine", unreachable);
    const api = creates.api();

    await expect(api.create()).rejects.toMatchObject({ reason: "LAYER_CORRUPT" });
    const [stuck] = await world.sql("select status, attempts, lease_time > update_time as waits from sagas");
    expect(stuck).toEqual({ status: "stuck", attempts: 1, waits: true });
    expect(await api.sagas.countStuck()).toBe(1);
    await creates.leaseRunsOut();
    await creates.reconcileUntilQuiet(api);

    expect(await world.leftovers()).toEqual(NOTHING_LEFT);
    expect(await world.sql("select status, fault->>'reason' as reason from sagas")).toEqual([
      { status: "failed", reason: "LAYER_CORRUPT" },
    ]);
  });
});

describe("a caller that goes away", () => {
  test.each(["reserve", "createMachine", "prepareMachine", "startMachine"])(
    "in the middle of %s has its create undone",
    async (method) => {
      const gone = new AbortController();
      const leave = () => gone.abort(new Fault("CANCELLED", "CANCELLED", "the caller has gone"));
      if (method === "reserve") world.scheduler.before(method, leave);
      else world.host(1).before(method, leave);
      const api = creates.api();

      await expect(api.create({ isRepeatable: false, signal: gone.signal })).rejects.toMatchObject({
        code: "CANCELLED",
      });

      // What the host was asked for may arrive after the undo was: the host takes them in turn, the fake does not.
      await expect.poll(() => world.leftovers()).toEqual(NOTHING_LEFT);
    },
  );
});

test("hostd that restarts while it prepares is asked again", async () => {
  world.host(1).before(
    "prepareMachine",
    () => {
      throw new Fault("UNAVAILABLE", "SERVER_DRAINING", "hostd restarts");
    },
    2,
  );

  await creates.api().create();

  await creates.expectOneMachine();
});

test("a machine that is destroyed while it is created is not committed", async () => {
  world.host(1).after("prepareMachine", async (id) => {
    await world.sql("update machines set state = 'destroyed', generation = 9 where id = $1", [id]);
  });

  await expect(creates.api().create()).rejects.toMatchObject({ reason: "MACHINE_DESTROYED" });

  expect(await world.leftovers()).toEqual(NOTHING_LEFT);
});
