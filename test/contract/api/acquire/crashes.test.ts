import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Acquirer } from "../../../../src/api/acquire/acquirer.ts";
import { newMachineId } from "../../../../src/api/machines/ids/machine-id.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import {
  acquire,
  api,
  CALLER,
  expireLeases,
  newStore,
  query,
  requestOf,
  START_ANY,
  settled,
  withDatabase,
} from "./fixture.ts";
import { Life } from "./life.ts";
import { ModelFleet } from "./model.ts";

withDatabase();

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
      store: newStore(),
    });

    const request = requestOf(fleet, ["start", "launch", "start"], undefined, key);
    const { machine, step } = await acquire(acquirer, request);

    expect(step).toBe(2);
    await expect.poll(() => fleet.running).toEqual([machine.id]);
  });
});

test("an acquire is not done before the slower of two steps is undone, however close to each other they end", async () => {
  for (let lag = 0; lag < 40; lag += 1) {
    const ready = Promise.withResolvers<void>();
    let late: Promise<void> = ready.promise;
    for (let i = 0; i < lag; i += 1) late = late.then(() => {});
    const fleet = new ModelFleet([ready.promise, late].map((ms) => ({ room: 1, status: "ok" as const, ms })));
    const store = newStore();
    const ends: string[] = [];
    const end = store.end.bind(store);
    store.end = (id, status, found) => {
      ends.push(`${status}, ${fleet.running.length} running`);
      return end(id, status, found);
    };
    const acquirer = new Acquirer({ tools: fleet.tools(new Life(Number.POSITIVE_INFINITY)), store });

    const acquired = acquire(acquirer, requestOf(fleet, ["start", "start"], 1, undefined));
    await expect.poll(() => fleet.underWay, { interval: 1 }).toBe(2);
    ready.resolve();
    const { machine } = await acquired;

    await expect.poll(() => ends.at(-1)).toBe("done, 1 running");
    expect(ends.filter((each) => each.startsWith("done"))).toEqual(["done, 1 running"]);
    expect(fleet.running).toEqual([machine.id]);
  }
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
  await query("delete from acquires");
  const id = newMachineId(1, 7n);
  await query(
    `insert into machines (create_id, id, name, app, org, region, memory_mb, state)
     values (gen_random_uuid(), $1, 'keys', 'keys', 'personal', 'ord', 256, 'started')`,
    [id],
  );
  await query(
    `insert into acquires (id, org, key, request_hash, status, machine_id, step, intents, trace_id, owner, lease_time, update_time)
     select gen_random_uuid(), 'personal', 'key-' || n, '', 'done', $1, 0,
            case n when 0 then '[{"kind":"create","step":0,"requestId":"r"}]' else '[{"kind":"start","step":0}]' end::jsonb,
            '', gen_random_uuid(), now(), now() - interval '2 hours' + n * interval '1 second'
       from generate_series(0, 103) n`,
    [id],
  );

  await newStore().removeOld();

  const { rows } = await query("select key from acquires order by update_time limit 2");
  expect(rows).toEqual([{ key: "key-0" }, { key: "key-4" }]);
  await query("delete from machines where id = $1", [id]);
});

test("acquires that no repeat can return are removed an hour later, whichever page they are on", async () => {
  await query(
    `insert into acquires (id, org, key, request_hash, status, machine_id, step, trace_id, owner, lease_time, update_time)
     select gen_random_uuid(), 'personal', case when n % 2 = 0 then 'key-' || n end, '', case when n < 10 then 'failed' else 'done' end,
            'gone', 0, '', gen_random_uuid(), now(), now() - (n * 10 + 5) * interval '1 minute'
       from generate_series(1, 25) n`,
  );

  await newStore().removeOld(4);

  const { rows } = await query("select count(*)::int as count from acquires");
  expect(rows).toEqual([{ count: 5 }]);
});
