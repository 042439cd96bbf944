import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { CreateStore, type Intent } from "../../src/api/adapters/create-store.ts";
import type { Transactions } from "../../src/api/adapters/gated-database.ts";
import { HostdClients } from "../../src/api/adapters/hostd-clients.ts";
import { createHosts } from "../../src/api/adapters/hostd-create.ts";
import { SagaStore } from "../../src/api/adapters/saga-store.ts";
import { Scheduler } from "../../src/api/adapters/scheduler.ts";
import type { CreateContext } from "../../src/api/create/context.ts";
import { Reconciler } from "../../src/api/create/reconciler.ts";
import { requestHash } from "../../src/api/create/request-hash.ts";
import { CreateRunner, LEASE_MS, newOwner } from "../../src/api/create/runner.ts";
import { createSaga } from "../../src/api/create/steps.ts";
import type { CreateRequest } from "../../src/api/domain/create-state.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { Fault } from "../../src/lib/fault.ts";
import { Stack } from "../../src/lib/lifecycle.ts";
import { Database, type Queries, type Transaction } from "../../src/lib/postgres.ts";
import type { Saga, Step } from "../../src/lib/saga.ts";
import { internalTokens } from "../../src/lib/tokens.ts";
import { KEYS, NOTHING_LEFT, World } from "./api-fixture.ts";

const STEPS = ["preflight", "resolve", "reserve", "award", "release", "prepare", "record", "launch"];
const REQUEST: CreateRequest = {
  org: "personal",
  app: "web",
  name: "subject",
  region: "ord",
  skipLaunch: false,
  config: {
    image: "nginx",
    guest: { cpuKind: "shared", cpus: 1, memoryMb: 256 },
    env: {},
    services: [],
    stop: { signal: "", timeoutMs: 5_000 },
    metadata: {},
  },
};

let world: World;
let stack: Stack;
let database: Database;
let clients: HostdClients;
let scheduler: Scheduler;

beforeAll(async () => {
  world = await World.open();
  await world.sql("insert into apps (name, org) values ('web', 'personal')");
  stack = new Stack();
  database = new Database({ url: world.database.url });
  stack.add("database", () => database.close());
  const token = internalTokens(KEYS.privateKey, "api");
  clients = new HostdClients(token, systemClock);
  stack.add("hosts", () => clients.close());
  scheduler = new Scheduler("ord", [world.scheduler.address], token, systemClock);
  stack.add("scheduler", () => scheduler.close());
});
beforeEach(() => world.clear());
afterAll(async () => {
  await stack.close();
  await world.close();
});

/** One api's worth of creates, over a database that may die. */
function makeApi(
  db: Transactions = database,
  change: (saga: Saga<CreateContext>) => Saga<CreateContext> = (s) => s,
) {
  let next = 0n;
  const tools = {
    images: world.images,
    auctionsIn: () => scheduler,
    hosts: createHosts(clients),
    // A different one each time, and the same ones in each test.
    random: () => ++next + BigInt(Math.round(performance.now())) * 1_000n,
    meet: async () => {},
    retryMs: 5,
  };
  const sagas = new SagaStore(db);
  const creates = new CreateStore(db);
  const runner = new CreateRunner({ saga: change(createSaga(tools)), sagas, creates, clock: systemClock });
  return {
    runner,
    sagas,
    reconciler: new Reconciler(sagas, runner),
    async create(options: { isRepeatable?: boolean; signal?: AbortSignal } = {}) {
      const intent: Intent = {
        id: randomUUID(),
        request: REQUEST,
        ...(options.isRepeatable === false ? {} : { requestId: "once" }),
        requestHash: requestHash(REQUEST),
        traceparent: `00-${"1".repeat(32)}-${"2".repeat(16)}-01`,
        owner: newOwner(),
        leaseMs: LEASE_MS,
        makeName: () => "made",
      };
      const { saga } = await creates.begin(intent);
      return runner.start(saga, intent.owner, options.signal);
    },
  };
}

/** What is so after a create that worked: one machine, everywhere the same. */
async function expectOneMachine(): Promise<void> {
  const rows = await world.sql<{ id: string; state: string; recorded: boolean }>(
    "select id, state, recorded from machines",
  );
  expect(rows).toEqual([{ id: expect.any(String), state: "started", recorded: true }]);
  expect(world.onHosts.map((machine) => machine.id)).toEqual([rows[0]?.id]);
  expect((await world.leftovers()).unfinished).toEqual([]);
  expect((await world.leftovers()).holds).toEqual([]);
}

/** The lease of whoever ran creates runs out, as it does after a crash. */
async function leaseRunsOut(): Promise<void> {
  await world.sql("update sagas set lease_time = now() - interval '1 second'");
}

async function reconcileUntilQuiet(api: ReturnType<typeof makeApi>): Promise<void> {
  await expect
    .poll(
      async () => {
        await api.reconciler.run();
        return (await world.leftovers()).unfinished.length + api.runner.size;
      },
      { timeout: 10_000, interval: 5 },
    )
    .toBe(0);
}

describe("a step that fails, after all it does is done,", () => {
  test.each(STEPS)("%s, is undone with all before it", async (failing) => {
    const api = makeApi(database, (saga) => ({
      ...saga,
      steps: saga.steps.map((step) => (step.name === failing ? { ...step, run: andThenFail(step) } : step)),
    }));

    await expect(api.create()).rejects.toThrow("injected");

    expect(await world.leftovers()).toEqual(NOTHING_LEFT);
    expect(await world.sql("select status from sagas")).toEqual([{ status: "failed" }]);
  });

  function andThenFail(step: Step<CreateContext>): Step<CreateContext>["run"] {
    return async (ctx, signal) => {
      await step.run(ctx, signal);
      throw new Error("injected");
    };
  }
});

test.each(STEPS)("the step %s may run twice, and still there is one machine", async (twice) => {
  const api = makeApi(database, (saga) => ({
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

  await expectOneMachine();
});

test("every undo may run twice", async () => {
  const api = makeApi(database, (saga) => ({
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

describe("an api that dies", () => {
  const FEWEST_WRITES = 4;

  test("at any write of a create leaves one that another goes on with, to one machine", async () => {
    const writes = await countWrites();
    // The intent, the host that is asked, the record, the end; and perhaps what was done when one of them took long.
    expect(writes).toBeGreaterThanOrEqual(FEWEST_WRITES);
    expect(writes).toBeLessThanOrEqual(8);

    for (const when of ["before", "after"] as const) {
      for (let nth = 1; nth <= writes; nth++) {
        await world.clear();
        const dying = makeApi(new DyingDatabase(database, nth, when));
        const created = await dying.create().then(
          () => true,
          () => false,
        );
        // Nobody is told of a machine whose create is not certain to have ended.
        if (nth <= FEWEST_WRITES) expect(created, `${when} write ${nth}`).toBe(false);
        if ((await world.sql("select 1 from sagas")).length === 0) continue;
        await leaseRunsOut();

        await reconcileUntilQuiet(makeApi());

        await expectOneMachine();
      }
    }
  }, 120_000);

  test("at any write of a create that cannot be repeated leaves nothing, once another has seen it", async () => {
    const writes = await countWrites();

    for (let nth = 1; nth <= writes; nth++) {
      await world.clear();
      const dying = makeApi(new DyingDatabase(database, nth, "after"));
      await dying.create({ isRepeatable: false }).catch(() => {});
      const [saga] = await world.sql<{ steps: number }>(
        "select jsonb_array_length(entries) as steps from sagas",
      );
      await leaseRunsOut();

      await reconcileUntilQuiet(makeApi());

      // Once all steps are stored as done its caller may have been answered.
      if (saga?.steps === STEPS.length) await expectOneMachine();
      else expect(await world.leftovers(), `write ${nth}`).toEqual(NOTHING_LEFT);
    }
  }, 120_000);

  test("while it takes a create back leaves nothing, once another has gone on", async () => {
    // From the first after the host was asked to the last of going back.
    for (let nth = 3; nth <= 7; nth++) {
      await world.clear();
      const fail = (saga: Saga<CreateContext>): Saga<CreateContext> => ({
        ...saga,
        steps: saga.steps.map((step) =>
          step.name === "launch" ? { ...step, run: () => Promise.reject(new Error("injected")) } : step,
        ),
      });
      const dying = makeApi(new DyingDatabase(database, nth, "after"), fail);
      await expect(dying.create()).rejects.toThrow();
      await leaseRunsOut();

      await reconcileUntilQuiet(makeApi(database, fail));

      expect(await world.leftovers(), `write ${nth}`).toEqual(NOTHING_LEFT);
    }
  }, 120_000);

  /** How many writes a create that works takes. */
  async function countWrites(): Promise<number> {
    const counting = new DyingDatabase(database, Number.POSITIVE_INFINITY, "before");
    await makeApi(counting).create();
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
    const first = makeApi();
    const creating = first.create();
    await entered.promise;

    await makeApi().reconciler.run();
    await makeApi().reconciler.run();
    leave.resolve();
    await creating;

    expect(world.host(1).calls.filter((method) => method === "prepareMachine")).toHaveLength(1);
    await expectOneMachine();
  });

  test("go on one after the other: the one that lost its lease writes nothing more", async () => {
    const entered = Promise.withResolvers<void>();
    const leave = Promise.withResolvers<void>();
    world.host(1).before("prepareMachine", async () => {
      entered.resolve();
      await leave.promise;
    });
    const slow = makeApi();
    const creating = slow.create();
    creating.catch(() => {});
    await entered.promise;
    await leaseRunsOut();
    const other = makeApi();

    await reconcileUntilQuiet(other);
    leave.resolve();

    await expect(creating).rejects.toMatchObject({ reason: "LEASE_LOST" });
    await expectOneMachine();
  });
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
    const api = makeApi();

    await expect(api.create()).rejects.toMatchObject({ reason: "LAYER_CORRUPT" });
    const [stuck] = await world.sql("select status, attempts, lease_time > now() as waits from sagas");
    expect(stuck).toEqual({ status: "stuck", attempts: 1, waits: true });
    expect(await api.sagas.countStuck()).toBe(1);
    await leaseRunsOut();
    await reconcileUntilQuiet(api);

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
      const api = makeApi();

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

  await makeApi().create();

  await expectOneMachine();
});

test("a machine that is destroyed while it is created is not recorded", async () => {
  world.host(1).after("prepareMachine", async (id) => {
    await world.sql("update machines set state = 'destroyed', generation = 9 where id = $1", [id]);
  });

  await expect(makeApi().create()).rejects.toMatchObject({ reason: "MACHINE_DESTROYED" });

  expect(await world.leftovers()).toEqual(NOTHING_LEFT);
});

/** A database that a process loses for good at its nth write, before it is done or just after. */
class DyingDatabase implements Transactions {
  writes = 0;
  readonly #db: Database;
  readonly #nth: number;
  readonly #when: "before" | "after";

  constructor(db: Database, nth: number, when: "before" | "after") {
    this.#db = db;
    this.#nth = nth;
    this.#when = when;
  }

  query: Queries["query"] = (statement) =>
    /^\s*select/i.test(statement.text)
      ? this.#db.query(statement)
      : this.#write(() => this.#db.query(statement));

  transaction<T>(fn: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.#write(() => this.#db.transaction(fn));
  }

  async #write<T>(write: () => Promise<T>): Promise<T> {
    this.writes += 1;
    if (this.writes > this.#nth || (this.writes === this.#nth && this.#when === "before"))
      throw new Error("died");
    const result = await write();
    if (this.writes >= this.#nth) throw new Error("died");
    return result;
  }
}
