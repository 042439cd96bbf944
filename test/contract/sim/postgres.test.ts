import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Transactions } from "../../../src/api/database/gated-database.ts";
import { parseMachineId } from "../../../src/api/machines/ids/machine-id.ts";
import type { MachineStore } from "../../../src/api/machines/machine-store.ts";
import { Fault } from "../../../src/lib/faults/fault.ts";
import { createLogger } from "../../../src/lib/runtime/log.ts";
import { migrate } from "../../../src/lib/stores/migrate.ts";
import { Database, type Result, type Statement } from "../../../src/lib/stores/postgres.ts";
import { execute } from "../../sim/stores/postgres-statements.ts";
import { Tables } from "../../sim/stores/postgres-tables.ts";
import { createDatabase } from "../../support/servers/postgres.ts";
import { acquiresOf, call } from "./postgres-calls.ts";
import { CREATES, comparable, idOf, MACHINES, sorted } from "./postgres-records.ts";
import { type Stores, storesOn } from "./postgres-stores.ts";

createLogger("test", { write: () => {} });

let database: Awaited<ReturnType<typeof createDatabase>>;
let real: Database;
let tables: Tables;

beforeAll(async () => {
  const prepare = (url: string) => migrate(url, new URL("../../../src/api/sql/", import.meta.url));
  database = await createDatabase({ name: "api", prepare: async (url) => void (await prepare(url)) });
  // No call of a busy machine is refused that the simulated one answers.
  const limits = { connectTimeoutMs: 60_000, statementTimeoutMs: 60_000 };
  real = new Database({ url: database.url, maxConnections: 2, ...limits });
});
afterAll(async () => {
  await real.close();
  await database.close();
});

/** Both begin with one organisation that may have two machines and 2 MB of images, and its app. */
async function begin(): Promise<void> {
  const run = (name: string, text: string) => real.query({ name, text });
  for (const table of [
    "acquires",
    "machine_events",
    "machines",
    "saga_steps",
    "sagas",
    "hosts",
    "leases",
    "apps",
  ])
    await run(`clear_${table}`, `delete from ${table}`);
  await run("clear_orgs", "delete from organizations where slug = 'acme'");
  await run(
    "add_org",
    `insert into organizations (slug, name, quota_machines, quota_memory_mb, quota_image_mb)
     values ('acme', 'Acme', 2, 1024, 2)`,
  );
  await run("add_app", "insert into apps (name, org) values ('web', 'acme')");
  tables = new Tables();
  tables.orgs.set("acme", { standing: "good", machines: 2, memoryMb: 1_024, imageMb: 2 });
  tables.apps.set("web", "acme");
}

/** The simulated Postgres without a network: every statement at once, all of them taken back when one fails. */
const simulated: Transactions = {
  query: (statement) => simulated.transaction((tx) => tx.query(statement)),
  async transaction(fn) {
    const undo: (() => void)[] = [];
    const query = async <Row>(statement: Statement) =>
      // The row's shape is the statement's own affair.
      execute(tables, statement, Date.now(), (take) => undo.push(take)) as Result<Row>;
    try {
      return await fn({ query, commit: query });
    } catch (err) {
      for (const take of undo.reverse()) take();
      throw err;
    }
  },
};

test("the simulated Postgres answers whatever the stores ask as the real one does", {
  timeout: 300_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 5, maxLength: 30 }), async (calls) => {
      await begin();
      const [expected, given] = [storesOn(real), storesOn(simulated)];
      for (const { name, ask } of calls) {
        expect(await outcome(ask(given)), name).toEqual(await outcome(ask(expected)));
        expect(await seen(given), `after ${name}`).toEqual(await seen(expected));
      }
    }),
    { numRuns: 80 },
  );
});

/** What the stores show of all there is. */
async function seen(stores: Stores) {
  const { sagas, machines, hosts, history } = stores;
  const found = await Promise.all(
    CREATES.map(async (id) => [await sagas.get(id), await sagas.steps(id, 0)] as const),
  );
  const known = await machines.withIds(MACHINES);
  return {
    sagas: found.map(([saga, steps]) => [saga && comparable(saga), steps]),
    stuck: await sagas.countStuck(),
    known: sorted(known),
    ofHosts: [sorted(await machines.ofHost(1)), sorted(await machines.ofHost(2))],
    acquires: await acquiresOf(stores),
    versions: await Promise.all(MACHINES.map((id) => history.versions(idOf(id), "", 10))),
    snapshots: await Promise.all(MACHINES.map((id) => findIn(machines, id))),
    entries: sorted(
      (await hosts.changedSince(undefined)).entries.map((entry) => ({ ...entry, id: String(entry.number) })),
    ),
  };
}

async function findIn(machines: MachineStore, id: string) {
  const parsed = parseMachineId(id);
  return parsed && (await machines.find(parsed, "acme"));
}

async function outcome(work: Promise<unknown>): Promise<unknown> {
  try {
    return { answered: await work };
  } catch (err) {
    if (err instanceof Fault) return { code: err.code, reason: err.reason, facts: err.facts };
    // What neither was asked for: an id that another machine has. Both must say no, in words of their own.
    return { refused: true };
  }
}
