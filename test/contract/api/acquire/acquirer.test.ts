import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Step } from "../../../../src/api/acquire/acquire.ts";
import { Acquirer } from "../../../../src/api/acquire/acquirer.ts";
import { undoUnanswered } from "../../../../src/api/acquire/settle.ts";
import type { MachineId } from "../../../../src/api/machines/ids/machine-id.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import {
  acquire,
  api,
  CALLER,
  expireLeases,
  HASH,
  newStore,
  query,
  requestOf,
  withDatabase,
} from "./fixture.ts";
import { Life } from "./life.ts";
import { ModelFleet } from "./model.ts";

withDatabase();

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
    const one = new Acquirer({ tools, store: newStore(), maxRunning: 1 });
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
    const store = newStore();
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
    const end = Promise.withResolvers<void>();
    const fleet = new ModelFleet([
      { room: 9, status: "ok", ms: end.promise },
      { room: 9, status: "ok", ms: 0 },
    ]);
    const [slow, good] = [fleet.add(0), fleet.add(1)];

    const { machine } = await acquire(api(fleet), { ...KEYLESS, steps: [startOf(slow, 5), startOf(good)] });

    expect(machine.id).toBe(good);
    expect((await query("select intents from acquires")).rows).toEqual([
      { intents: [slow, good].map((machineId, step) => ({ kind: "start", step, machineId })) },
    ]);
    end.resolve();
    await expect.poll(() => fleet.machines.get(slow)?.stops).toBe(1);
    expect(fleet.running).toEqual([good]);
  });

  test.each(["a slower step", "a step after its timeout"])(
    "suspends again what %s has resumed",
    async (which) => {
      const end = Promise.withResolvers<void>();
      const fleet = new ModelFleet([
        { room: 9, status: "ok", ms: end.promise },
        { room: 9, status: "ok", ms: 0 },
      ]);
      const [slow, good] = [fleet.add(0, "suspended"), fleet.add(1)];
      const limits = which === "a slower step" ? { hedgeAfterMs: 5 } : {};
      const steps = [startOf(slow, which === "a slower step" ? undefined : 20), startOf(good)];

      const { machine } = await acquire(api(fleet), { ...KEYLESS, ...limits, steps });

      expect(machine.id).toBe(good);
      end.resolve();
      await expect
        .poll(() => [fleet.machines.get(slow)?.startPath, fleet.machines.get(slow)?.state])
        .toEqual(["resume", "suspended"]);
      expect(fleet.machines.get(slow)?.stops).toBe(0);
      expect(fleet.running).toEqual([good]);
    },
  );

  test("leaves a machine suspended whose start was not made, and cancels one that waits", async () => {
    const end = Promise.withResolvers<void>();
    const fleet = new ModelFleet([{ room: 9, status: "ok", ms: end.promise }]);
    const [never, waiting] = [fleet.add(0, "suspended"), fleet.add(0, "suspended")];
    const tools = fleet.tools(new Life(Number.POSITIVE_INFINITY));
    const start = tools.start(waiting, "", CALLER);
    const cancelled = expect(start).rejects.toMatchObject({ reason: "START_CANCELLED" });

    for (const machineId of [never, waiting])
      await undoUnanswered(tools, { kind: "start", step: 0, machineId }, { traceId: "t", org: "" }, CALLER);
    end.resolve();

    await cancelled;
    expect(fleet.machines.get(never)).toMatchObject({ state: "suspended", stops: 0 });
    expect(fleet.machines.get(waiting)).toMatchObject({ state: "stopped", stops: 1 });
  });

  test("leaves a machine running that somebody else was starting already", async () => {
    const end = Promise.withResolvers<void>();
    const fleet = new ModelFleet([
      { room: 9, status: "ok", ms: end.promise },
      { room: 9, status: "ok", ms: 0 },
    ]);
    const [shared, good] = [fleet.add(0), fleet.add(1)];
    const tools = fleet.tools(new Life(Number.POSITIVE_INFINITY));
    const start: typeof tools.start = async (...args) => {
      const started = await tools.start(...args);
      if (args[0] !== shared) return started;
      return { ...started, machine: { ...started.machine, lastStartTraceId: "of somebody else" } };
    };
    const store = newStore();
    const acquirer = new Acquirer({ tools: { ...tools, start }, store });

    const steps = [startOf(shared), startOf(good)];
    const { machine } = await acquire(acquirer, { ...KEYLESS, hedgeAfterMs: 5, steps });

    expect(machine.id).toBe(good);
    end.resolve();
    await expect.poll(() => fleet.running).toEqual([shared, good]);
    await expect
      .poll(async () => (await query("select 1 from acquires where status <> 'done'")).rows)
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
      store: newStore(),
    });

    await heir.maintain();
    await asked.promise;
    await expireLeases();
    await heir.maintain();

    const { rows } = await query('select lease_time > now() as "isKept" from acquires');
    expect(rows).toEqual([{ isKept: true }]);
  });
});
