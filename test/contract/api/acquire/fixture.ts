import { randomUUID } from "node:crypto";
import { context } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, expect } from "vitest";
import type { Acquired, AcquireRequest, Step } from "../../../../src/api/acquire/acquire.ts";
import { AcquireStore } from "../../../../src/api/acquire/acquire-store.ts";
import { Acquirer } from "../../../../src/api/acquire/acquirer.ts";
import type { CreateRequest } from "../../../../src/api/creates/store/create-state.ts";
import { Database } from "../../../../src/lib/stores/postgres.ts";
import { World } from "../fixture.ts";
import { Life } from "./life.ts";
import type { ModelFleet } from "./model.ts";

export const HASH = Buffer.alloc(32, 1);
export const CALLER = { org: "personal", subject: "test" };
const LAUNCH: CreateRequest = {
  ...{ org: "personal", app: "web", name: "", regions: ["ord"], regionAsked: "", skipLaunch: false },
  config: {
    image: "x",
    guest: { cpuKind: "shared", cpus: 1, memoryMb: 256 },
    ...{ env: {}, services: [], metadata: {} },
    stop: { signal: "", timeoutMs: 0 },
  },
};

export const START_ANY: Step = {
  ...{ kind: "start_any", app: "web", regions: [], regionAsked: "", metadata: {} },
  timeoutMs: undefined,
};

let world: World;
let database: Database;
let pool: pg.Pool;

/** Opens the database of a test file, and clears it between tests. */
export function withDatabase(): void {
  beforeAll(async () => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    world = await World.open(0);
    database = new Database({ url: world.database.url, maxConnections: 4, applicationName: "test" });
    pool = new pg.Pool({ connectionString: world.database.url, max: 1 });
    // A pool that ends does not wait for its connections: they may break with their database.
    pool.on("error", () => {});
  });
  // The next test must not settle the acquires of this one.
  beforeEach(() => pool.query("delete from acquires"));
  afterAll(async () => {
    await database.close();
    await pool.end();
    await world.close();
  });
}

/** Runs SQL in the database. */
export const query = (text: string, values: readonly unknown[] = []) => pool.query(text, [...values]);

/** Makes the store of an api. */
export function newStore(owner = randomUUID()): AcquireStore {
  return new AcquireStore(database, owner);
}

/** An api that works on the fleet until it dies. */
export function api(fleet: ModelFleet, life = new Life(Number.POSITIVE_INFINITY)): Acquirer {
  const store = life.around(newStore());
  return new Acquirer({ tools: fleet.tools(life), store, pollMs: 5 });
}

export const acquire = (acquirer: Acquirer, request: AcquireRequest): Promise<Acquired> =>
  acquirer.acquire(request, HASH, CALLER);

/** Ends the leases of dead apis, so that another api takes over. */
export const expireLeases = () => pool.query("update acquires set lease_time = now() - interval '1 second'");

/** Waits until an api has settled all acquires of dead ones. */
export async function settled(fleet: ModelFleet): Promise<void> {
  const heir = api(fleet);
  await expect
    .poll(
      async () => {
        await expireLeases();
        await heir.maintain();
        const { rows } = await pool.query("select 1 from acquires where status in ('running', 'settling')");
        return rows.length;
      },
      { interval: 5 },
    )
    .toBe(0);
}

/** Makes a request with steps of these kinds, and the machines that they need. */
export function requestOf(
  fleet: ModelFleet,
  kinds: readonly Step["kind"][],
  hedgeAfterMs: number | undefined,
  key: string | undefined,
): AcquireRequest {
  const steps = kinds.map((kind, index): Step => {
    const timeoutMs = undefined;
    const state = index % 2 === 0 ? "stopped" : "suspended";
    if (kind === "start") return { kind, machineId: fleet.add(index % 3, state), timeoutMs };
    if (kind === "launch") return { kind, request: LAUNCH, timeoutMs };
    fleet.add(index % 3, state);
    return { kind, app: "web", regions: [], regionAsked: "", metadata: {}, timeoutMs };
  });
  return { org: "personal", key, steps, timeoutMs: 5_000, hedgeAfterMs };
}
