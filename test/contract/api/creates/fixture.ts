import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { CreateRunner, LEASE_MS, newOwner } from "../../../../src/api/creates/create-runner.ts";
import { requestHash } from "../../../../src/api/creates/request-hash.ts";
import type { CreateRun } from "../../../../src/api/creates/saga/create-run.ts";
import { createSaga } from "../../../../src/api/creates/saga/steps.ts";
import type { CreateRequest } from "../../../../src/api/creates/store/create-state.ts";
import { type Intent, IntentStore } from "../../../../src/api/creates/store/intent-store.ts";
import { SagaStore } from "../../../../src/api/creates/store/saga-store.ts";
import type { Transactions } from "../../../../src/api/database/gated-database.ts";
import type { Hostd } from "../../../../src/api/hosts/hostd.ts";
import { hostdClient, hostdConnections } from "../../../../src/api/hosts/hostd-client.ts";
import { SchedulerClient } from "../../../../src/api/regions/scheduler-client.ts";
import { internalTokens } from "../../../../src/lib/auth/tokens.ts";
import { systemClock } from "../../../../src/lib/runtime/clock.ts";
import { Stack } from "../../../../src/lib/runtime/lifecycle.ts";
import type { Saga } from "../../../../src/lib/saga/saga.ts";
import { Database, type Queries, type Transaction } from "../../../../src/lib/stores/postgres.ts";
import { KEYS } from "../clients.ts";
import { World } from "../fixture.ts";

/** The steps of a create. */
export const STEPS = ["resolve", "reserve", "award", "release", "prepare", "commit", "launch"];
const REQUEST: CreateRequest = {
  org: "personal",
  app: "web",
  name: "subject",
  regions: ["ord"],
  regionAsked: "",
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

/** A world in which creates run without an api around them, so that they can be stopped anywhere. */
export class CreateWorld {
  readonly world: World;
  readonly database: Database;
  readonly hostd: Hostd;
  readonly #scheduler: SchedulerClient;
  readonly #stack: Stack;

  private constructor(world: World, stack: Stack) {
    this.world = world;
    this.#stack = stack;
    this.database = new Database({ url: world.database.url });
    stack.add("database", () => this.database.close());
    const token = internalTokens(KEYS.privateKey, "api");
    const connections = hostdConnections(token, systemClock);
    stack.add("hosts", () => connections.close());
    const hostd = hostdClient(connections, { clock: systemClock, whereIs: () => undefined });
    stack.add("waits", () => hostd.close());
    this.hostd = hostd;
    this.#scheduler = new SchedulerClient("ord", [world.scheduler.address], token, systemClock);
    stack.add("scheduler", () => this.#scheduler.close());
  }

  static async open(): Promise<CreateWorld> {
    const stack = new Stack();
    const world = await World.open();
    stack.add("world", () => world.close());
    await world.sql("insert into apps (name, org) values ('web', 'personal')");
    return new CreateWorld(world, stack);
  }

  /** One api's worth of creates, over a database that may die, with steps that may be others. */
  api(db: Transactions = this.database, change: (saga: Saga<CreateRun>) => Saga<CreateRun> = (saga) => saga) {
    let next = 0n;
    const tools = {
      images: this.world.images,
      credentials: { find: async () => undefined, forget: () => {} },
      auctionsIn: () => this.#scheduler,
      hostd: this.hostd,
      // A different one each time, and the same ones in each test.
      random: () => ++next + BigInt(Math.round(performance.now())) * 1_000n,
      ensureHostKnown: async () => {},
      retryMs: 5,
    };
    const sagas = new SagaStore(db);
    const intents = new IntentStore(db);
    const runner = new CreateRunner(change(createSaga(tools)), sagas, systemClock);
    return {
      runner,
      sagas,
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
        const { saga } = await intents.begin(intent);
        return runner.start(saga, intent.owner, options.signal);
      },
    };
  }

  /** What is so after a create that worked: one machine, everywhere the same. */
  async expectOneMachine(): Promise<void> {
    const { world } = this;
    const rows = await world.sql<{ id: string; state: string; committed: boolean }>(
      "select id, state, committed from machines",
    );
    expect(rows).toEqual([{ id: expect.any(String), state: "started", committed: true }]);
    expect(world.onHosts.map((machine) => machine.id)).toEqual([rows[0]?.id]);
    expect((await world.leftovers()).unfinished).toEqual([]);
    expect((await world.leftovers()).holds).toEqual([]);
  }

  /** The lease of whoever ran creates runs out, as it does after a crash. */
  async leaseRunsOut(): Promise<void> {
    await this.world.sql("update sagas set lease_time = now() - interval '1 second'");
  }

  /** Lets an api take over what there is, until nothing is under way. */
  async reconcileUntilQuiet(api: ReturnType<CreateWorld["api"]>): Promise<void> {
    await expect
      .poll(
        async () => {
          await api.runner.reconcile();
          return (await this.world.leftovers()).unfinished.length + api.runner.size;
        },
        { interval: 5 },
      )
      .toBe(0);
  }

  close(): Promise<void> {
    return this.#stack.close();
  }
}

/** A database that a process loses for good at its nth write, before it is done or just after. */
export class DyingDatabase implements Transactions {
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
