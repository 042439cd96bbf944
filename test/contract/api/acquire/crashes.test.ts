import { randomUUID } from "node:crypto";
import { context } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import fc from "fast-check";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Acquired, AcquireRequest, Step } from "../../../../src/api/acquire/acquire.ts";
import { AcquireStore } from "../../../../src/api/acquire/acquire-store.ts";
import { Acquirer } from "../../../../src/api/acquire/acquirer.ts";
import type { CreateRequest } from "../../../../src/api/creates/store/create-state.ts";
import { type MachineId, newMachineId } from "../../../../src/api/machines/machine-id.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { Database } from "../../../../src/lib/stores/postgres.ts";
import { World } from "../fixture.ts";
import { Life, ModelFleet } from "./model.ts";

const HASH = Buffer.alloc(32, 1);
const CALLER = { org: "personal", subject: "test" };
const LAUNCH: CreateRequest = {
  ...{ org: "personal", app: "web", name: "", regions: ["ord"], regionAsked: "", skipLaunch: false },
  config: {
    image: "x",
    guest: { cpuKind: "shared", cpus: 1, memoryMb: 256 },
    ...{ env: {}, services: [], metadata: {} },
    stop: { signal: "", timeoutMs: 0 },
  },
};

const START_ANY: Step = {
  ...{ kind: "start_any", app: "web", regions: [], regionAsked: "", metadata: {} },
  timeoutMs: undefined,
};

let world: World;
let database: Database;
let pool: pg.Pool;

beforeAll(async () => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  world = await World.open(0);
  database = new Database({ url: world.database.url, maxConnections: 4, applicationName: "test" });
  pool = new pg.Pool({ connectionString: world.database.url, max: 1 });
});
// The next test must not settle the acquires of this one.
beforeEach(() => pool.query("delete from acquires"));
afterAll(async () => {
  await database.close();
  await pool.end();
  await world.close();
});

/** An api that works on the fleet until it dies. */
function api(fleet: ModelFleet, life = new Life(Number.POSITIVE_INFINITY)): Acquirer {
  const store = life.around(new AcquireStore(database, randomUUID()));
  return new Acquirer({ tools: fleet.tools(life), store, pollMs: 5 });
}

const acquire = (acquirer: Acquirer, request: AcquireRequest): Promise<Acquired> =>
  acquirer.acquire(request, HASH, CALLER);

/** Ends the leases of dead apis, so that another api takes over. */
const expireLeases = () => pool.query("update acquires set lease_time = now() - interval '1 second'");

async function settled(fleet: ModelFleet): Promise<void> {
  const heir = api(fleet);
  await expect
    .poll(
      async () => {
        await expireLeases();
        await heir.maintain();
        const { rows } = await pool.query("select 1 from acquires where status in ('running', 'settling')");
        return rows.length;
      },
      { interval: 5, timeout: 10_000 },
    )
    .toBe(0);
}

const request = fc.record({
  hosts: fc.tuple(
    ...[0, 1, 2].map(() =>
      fc.record({
        room: fc.integer({ min: 0, max: 3 }),
        status: fc.constantFrom("ok" as const, "ok" as const, "unreachable" as const),
        ms: fc.constantFrom(0, 0, 4, 12),
      }),
    ),
  ),
  steps: fc.array(fc.constantFrom("start" as const, "start_any" as const, "launch" as const), {
    minLength: 1,
    maxLength: 4,
  }),
  hedgeAfterMs: fc.constantFrom(undefined, 2),
  diesAfter: fc.integer({ min: 1, max: 40 }),
});

function requestOf(
  fleet: ModelFleet,
  kinds: readonly Step["kind"][],
  hedgeAfterMs: number | undefined,
  key: string | undefined,
): AcquireRequest {
  const steps = kinds.map((kind, index): Step => {
    const timeoutMs = undefined;
    if (kind === "start") return { kind, machineId: fleet.add(index % 3), timeoutMs };
    if (kind === "launch") return { kind, request: LAUNCH, timeoutMs };
    fleet.add(index % 3);
    return { kind, app: "web", regions: [], regionAsked: "", metadata: {}, timeoutMs };
  });
  return { org: "personal", key, steps, timeoutMs: 5_000, hedgeAfterMs };
}

describe("a step whose answer is lost", () => {
  test.each([
    ["with a key", "key"],
    ["without a key", undefined],
  ])("is undone when a later one has succeeded, %s", async (_name, key) => {
    const fleet = new ModelFleet([1, 2, 3].map(() => ({ room: 3, status: "ok", ms: 0 })));
    const tools = fleet.tools(new Life(Number.POSITIVE_INFINITY));
    let lost = 0;
    const losing = async <T>(work: Promise<T>): Promise<T> => {
      const result = await work;
      lost += 1;
      if (lost <= 2) throw new Fault("UNAVAILABLE", "HOST_UNREACHABLE", "the connection broke");
      return result;
    };
    const acquirer = new Acquirer({
      tools: {
        ...tools,
        start: (...asked) => losing(tools.start(...asked)),
        create: (...asked) => losing(tools.create(...asked)),
      },
      store: new AcquireStore(database, randomUUID()),
    });

    const request = requestOf(fleet, ["start", "launch", "start"], undefined, key);
    const { machine, step } = await acquire(acquirer, request);

    expect(step).toBe(2);
    await expect.poll(() => fleet.running).toEqual([machine.id]);
  });
});

describe("an acquire whose api dies, wherever that is", () => {
  test("leaves at most one machine running, and a repeat of its key gets that one or another, never two", async () => {
    await fc.assert(
      fc.asyncProperty(request, async ({ hosts, steps, hedgeAfterMs, diesAfter }) => {
        const fleet = new ModelFleet(hosts);
        const request = requestOf(fleet, steps, hedgeAfterMs, randomUUID());
        const life = new Life(diesAfter);
        const first = acquire(api(fleet, life), request).catch(() => undefined);
        const answer = await Promise.race([first, life.end.then(() => "died" as const)]);
        if (answer === "died") await expireLeases();
        const heir = api(fleet);

        const repeated = await acquire(heir, request).catch(() => undefined);
        await settled(fleet);

        await expect.poll(() => fleet.running.length, { interval: 1 }).toBeLessThanOrEqual(1);
        if (repeated) expect(fleet.running).toEqual([repeated.machine.id]);
        if (answer !== "died" && answer) expect(repeated?.machine.id).toBe(answer.machine.id);
      }),
      { numRuns: 120 },
    );
  }, 120_000);

  test("without a key leaves at most one machine running, and none that nobody was told of when two were begun", async () => {
    await fc.assert(
      fc.asyncProperty(request, async ({ hosts, steps, diesAfter }) => {
        const fleet = new ModelFleet(hosts);
        const request = requestOf(fleet, steps, 2, undefined);
        const life = new Life(diesAfter);
        const first = acquire(api(fleet, life), request).catch(() => undefined);
        const answer = await Promise.race([first, life.end.then(() => "died" as const)]);
        // What it has asked of hosts is still done.
        await expect.poll(() => fleet.underWay, { interval: 1 }).toBe(0);
        await settled(fleet);

        // An api that lives, and whose lease was ended here, undoes what it has begun by itself.
        await expect.poll(() => fleet.running.length, { interval: 1 }).toBeLessThanOrEqual(1);
        if (answer !== "died" && answer) expect(fleet.running).toEqual([answer.machine.id]);
      }),
      { numRuns: 60 },
    );
  }, 120_000);
});

test("two acquires of one key at two apis get one machine", async () => {
  const fleet = new ModelFleet([{ room: 9, status: "ok", ms: 5 }]);
  const request = requestOf(fleet, ["launch"], undefined, randomUUID());
  const [a, b, again] = [api(fleet), api(fleet), api(fleet)];

  const both = await Promise.all([acquire(a, request), acquire(b, request), acquire(a, request)]);

  expect(new Set(both.map(({ machine }) => machine.id)).size).toBe(1);
  expect(both.filter(({ repeated }) => !repeated)).toHaveLength(1);
  expect((await acquire(again, request)).repeated).toBe(true);
  expect(fleet.running).toHaveLength(1);
});

test("acquires at once that take any stopped machine get one each", async () => {
  const fleet = new ModelFleet([{ room: 9, status: "ok", ms: 3 }]);
  for (let i = 0; i < 5; i++) fleet.add(0);
  const request = {
    org: "personal",
    key: undefined,
    steps: [START_ANY],
    timeoutMs: 5_000,
    hedgeAfterMs: undefined,
  };

  const five = await Promise.all(Array.from({ length: 5 }, () => acquire(api(fleet), request)));

  expect(new Set(five.map(({ machine }) => machine.id)).size).toBe(5);
});

test("a key stands for its steps, a machine that stopped is started again, and one that is gone is replaced", async () => {
  const fleet = new ModelFleet([{ room: 9, status: "ok", ms: 0 }]);
  const request = requestOf(fleet, ["launch"], undefined, randomUUID());
  const { machine } = await acquire(api(fleet), request);
  const of = (id: string) => [...fleet.machines.values()].find((each) => each.id === id);

  await expect(api(fleet).acquire(request, Buffer.alloc(32, 2), CALLER)).rejects.toMatchObject({
    reason: "KEY_REUSED",
  });
  Object.assign(of(machine.id) ?? {}, { state: "stopped" });
  expect(await acquire(api(fleet), request)).toMatchObject({ repeated: true, machine: { id: machine.id } });
  Object.assign(of(machine.id) ?? {}, { state: "destroyed" });
  const replaced = await acquire(api(fleet), request);

  expect(replaced.repeated).toBe(false);
  expect(fleet.running).toEqual([replaced.machine.id]);
});

test("of one machine the newest keys stay, and those that it was created for", async () => {
  await pool.query("delete from acquires");
  const id = newMachineId(1, 7n);
  await pool.query(
    `insert into machines (create_id, id, name, app, org, region, memory_mb, state)
     values (gen_random_uuid(), $1, 'keys', 'keys', 'personal', 'ord', 256, 'started')`,
    [id],
  );
  await pool.query(
    `insert into acquires (id, org, key, request_hash, status, machine_id, step, intents, trace_id, owner, lease_time, update_time)
     select gen_random_uuid(), 'personal', 'key-' || n, '', 'done', $1, 0,
            case n when 0 then '[{"kind":"create","step":0,"requestId":"r"}]' else '[{"kind":"start","step":0}]' end::jsonb,
            '', gen_random_uuid(), now(), now() - interval '2 hours' + n * interval '1 second'
       from generate_series(0, 103) n`,
    [id],
  );

  await new AcquireStore(database, randomUUID()).removeOld();

  const { rows } = await pool.query("select key from acquires order by update_time limit 2");
  expect(rows).toEqual([{ key: "key-0" }, { key: "key-4" }]);
  await pool.query("delete from machines where id = $1", [id]);
});

describe("the answer of an acquire", () => {
  test("tells what was tried, why each failed and how long it took", async () => {
    const fleet = new ModelFleet([
      { room: 0, status: "ok", ms: 0 },
      { room: 9, status: "unreachable", ms: 0 },
      { room: 9, status: "ok", ms: 0 },
    ]);
    const [full, away, good] = [fleet.add(0), fleet.add(1), fleet.add(2)];
    const steps = [full, away, newMachineId(2, 99n), good].map(
      (machineId): Step => ({ kind: "start", machineId, timeoutMs: undefined }),
    );
    const request = { org: "personal", key: undefined, steps, timeoutMs: 5_000, hedgeAfterMs: undefined };

    const { step, machine, attempts } = await acquire(api(fleet), request);

    expect({ step, id: machine.id }).toEqual({ step: 3, id: good });
    expect(attempts.map(({ step: index, outcome, reason }) => [index, outcome, reason])).toEqual([
      [0, "failed", "INSUFFICIENT_CAPACITY"],
      [1, "skipped", "HOST_UNREACHABLE"],
      [2, "failed", "MACHINE_NOT_FOUND"],
      [3, "started", ""],
    ]);
    await expect(acquire(api(fleet), { ...request, steps: steps.slice(0, 2) })).rejects.toMatchObject({
      reason: "NO_STEP_WORKED",
      facts: { reason_0: "INSUFFICIENT_CAPACITY", reason_1: "HOST_UNREACHABLE" },
    });
  });

  test("comes from the next step when one is slow, whose machine is stopped again", async () => {
    const fleet = new ModelFleet([
      { room: 9, status: "ok", ms: 200 },
      { room: 9, status: "ok", ms: 0 },
    ]);
    const steps = [fleet.add(0), fleet.add(1)].map(
      (machineId): Step => ({ kind: "start", machineId, timeoutMs: undefined }),
    );
    const request = { org: "personal", key: undefined, steps, timeoutMs: 5_000, hedgeAfterMs: 5 };

    const { step, machine, attempts } = await acquire(api(fleet), request);

    expect(step).toBe(1);
    expect(attempts.map(({ step: index, outcome }) => [index, outcome])).toEqual([
      [0, "superseded"],
      [1, "started"],
    ]);
    await expect
      .poll(
        async () =>
          (await pool.query("select status from acquires where machine_id = $1", [machine.id])).rows,
      )
      .toEqual([{ status: "done" }]);
    expect(fleet.running).toEqual([machine.id]);
  });

  test("is a failure in time when no step ends in time", async () => {
    const fleet = new ModelFleet([{ room: 9, status: "ok", ms: 300 }]);
    const step: Step = { kind: "start", machineId: fleet.add(0), timeoutMs: undefined };
    const request = {
      org: "personal",
      key: undefined,
      steps: [step],
      timeoutMs: 20,
      hedgeAfterMs: undefined,
    };

    await expect(acquire(api(fleet), request)).rejects.toMatchObject({
      reason: "ACQUIRE_TIMEOUT",
      facts: { reason_0: "ACQUIRE_TIMEOUT", attempts: expect.stringContaining(step.machineId) },
    });

    await expect.poll(() => fleet.running).toEqual([]);
  });

  test("tells each machine that a step has tried, also those that somebody else has leased", async () => {
    const fleet = new ModelFleet([
      { room: 0, status: "ok", ms: 0 },
      { room: 9, status: "ok", ms: 0 },
    ]);
    const [full, leased, good] = [fleet.add(0), fleet.add(1), fleet.add(1)];
    Object.assign(fleet.machines.get(leased) ?? {}, { leasedUntil: Date.now() + 60_000 });

    const { machine, attempts } = await acquire(api(fleet), {
      ...{ org: "personal", key: undefined, timeoutMs: 5_000, hedgeAfterMs: undefined },
      steps: [START_ANY],
    });

    expect(machine.id).toBe(good);
    expect(attempts.map(({ machineId, outcome, reason }) => [machineId, outcome, reason])).toEqual([
      [full, "failed", "INSUFFICIENT_CAPACITY"],
      [leased, "failed", "LEASE_HELD"],
      [good, "started", ""],
    ]);
  });
});

describe("an acquire", () => {
  const KEYLESS = { org: "personal", key: undefined, timeoutMs: 5_000, hedgeAfterMs: undefined };
  const startOf = (machineId: MachineId, timeoutMs?: number): Step => ({
    kind: "start",
    machineId,
    timeoutMs,
  });

  test("of a key whose other steps are still under way is refused, also before they are stored", async () => {
    const fleet = new ModelFleet([{ room: 9, status: "ok", ms: 5 }]);
    const request = requestOf(fleet, ["launch"], undefined, randomUUID());
    const one = api(fleet);

    const [first, other] = await Promise.allSettled([
      acquire(one, request),
      one.acquire(request, Buffer.alloc(32, 2), CALLER),
    ]);

    expect(first.status).toBe("fulfilled");
    expect(other).toMatchObject({ status: "rejected", reason: { reason: "KEY_REUSED" } });
    expect(fleet.running).toHaveLength(1);
  });

  test("with a key counts for its organisation until it ends, also when its caller has gone", async () => {
    const fleet = new ModelFleet([{ room: 9, status: "ok", ms: 100 }]);
    const tools = fleet.tools(new Life(Number.POSITIVE_INFINITY));
    const one = new Acquirer({ tools, store: new AcquireStore(database, randomUUID()), maxRunning: 1 });
    const request = requestOf(fleet, ["launch"], undefined, randomUUID());
    const abort = new AbortController();
    const first = one.acquire(request, HASH, { ...CALLER, signal: abort.signal });
    abort.abort(new Error("gone"));
    await expect(first).rejects.toThrow("gone");

    const other = acquire(one, { ...request, key: randomUUID() });

    await expect(other).rejects.toMatchObject({ reason: "TOO_MANY_CALLS", facts: { limit: "1" } });
    const again = await acquire(one, request);
    expect(fleet.running).toEqual([again.machine.id]);
    await acquire(one, { ...request, key: randomUUID() });
  });

  test("of a caller that has gone before it begins tries nothing", async () => {
    const fleet = new ModelFleet([{ room: 9, status: "ok", ms: 0 }]);
    const gone = new Error("gone");
    const caller = { ...CALLER, signal: AbortSignal.abort(gone) };

    const acquiring = api(fleet).acquire({ ...KEYLESS, steps: [startOf(fleet.add(0))] }, HASH, caller);

    await expect(acquiring).rejects.toBe(gone);
    expect(fleet.running).toEqual([]);
  });

  test("whose end cannot be stored leaves its machine to a repeat", async () => {
    const fleet = new ModelFleet([{ room: 9, status: "ok", ms: 0 }]);
    const request = requestOf(fleet, ["launch"], undefined, randomUUID());
    const store = new AcquireStore(database, randomUUID());
    const end = store.end.bind(store);
    const lost = new Fault("UNAVAILABLE", "DATABASE_UNAVAILABLE", "the connection was lost");
    store.end = (id, status, found) => (status === "failed" ? end(id, status, found) : Promise.reject(lost));
    const failing = new Acquirer({
      tools: fleet.tools(new Life(Number.POSITIVE_INFINITY)),
      store,
      pollMs: 5,
    });

    await expect(acquire(failing, request)).rejects.toMatchObject({ reason: "DATABASE_UNAVAILABLE" });
    await expireLeases();
    const repeated = await acquire(api(fleet), request);

    expect(repeated.repeated).toBe(true);
    expect(fleet.running).toEqual([repeated.machine.id]);
  });

  test("that tries a step while an earlier one is not over yet is stored: both may start a machine", async () => {
    const fleet = new ModelFleet([
      { room: 9, status: "ok", ms: 100 },
      { room: 9, status: "ok", ms: 0 },
    ]);
    const [slow, good] = [fleet.add(0), fleet.add(1)];

    const { machine } = await acquire(api(fleet), { ...KEYLESS, steps: [startOf(slow, 5), startOf(good)] });

    expect(machine.id).toBe(good);
    expect((await pool.query("select intents from acquires")).rows).toEqual([
      { intents: [slow, good].map((machineId, step) => ({ kind: "start", step, machineId })) },
    ]);
    await expect.poll(() => fleet.running).toEqual([good]);
  });

  test("leaves a machine running that somebody else was starting already", async () => {
    const fleet = new ModelFleet([
      { room: 9, status: "ok", ms: 60 },
      { room: 9, status: "ok", ms: 0 },
    ]);
    const [shared, good] = [fleet.add(0), fleet.add(1)];
    const tools = fleet.tools(new Life(Number.POSITIVE_INFINITY));
    const start: typeof tools.start = async (...args) => {
      const started = await tools.start(...args);
      if (args[0] !== shared) return started;
      return { ...started, machine: { ...started.machine, lastStartTraceId: "of somebody else" } };
    };
    const store = new AcquireStore(database, randomUUID());
    const acquirer = new Acquirer({ tools: { ...tools, start }, store });

    const steps = [startOf(shared), startOf(good)];
    const { machine } = await acquire(acquirer, { ...KEYLESS, hedgeAfterMs: 5, steps });

    expect(machine.id).toBe(good);
    await expect.poll(() => fleet.running).toEqual([shared, good]);
    await expect
      .poll(async () => (await pool.query("select 1 from acquires where status <> 'done'")).rows)
      .toEqual([]);
    expect(fleet.running).toEqual([shared, good]);
  });

  test("is kept by its api while the settling of another one waits for a host", async () => {
    const fleet = new ModelFleet([{ room: 9, status: "ok", ms: 0 }]);
    // It dies when it has stored the intent.
    const life = new Life(5);
    acquire(api(fleet, life), requestOf(fleet, ["start"], undefined, randomUUID())).catch(() => {});
    await life.end;
    await expireLeases();
    const tools = fleet.tools(new Life(Number.POSITIVE_INFINITY));
    const asked = Promise.withResolvers<void>();
    const get: typeof tools.get = () => {
      asked.resolve();
      return new Promise(() => {});
    };
    const heir = new Acquirer({
      tools: { ...tools, get },
      store: new AcquireStore(database, randomUUID()),
    });

    await heir.maintain();
    await asked.promise;
    await expireLeases();
    await heir.maintain();

    const { rows } = await pool.query('select lease_time > now() as "isKept" from acquires');
    expect(rows).toEqual([{ isKept: true }]);
  });
});
