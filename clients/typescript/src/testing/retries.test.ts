import { describe, expect, onTestFinished, test } from "vitest";
import { type CallOptions, isWindhoverError, Windhover } from "../index.ts";
import { apiError, clientOf, type Done, ID, machineIn, type ScriptedApi, serveApi } from "./api.fixture.ts";

/** Serves one method: fails as the script says, and then answers. Counts the calls. */
async function failing(method: string, errors: readonly unknown[], response: object) {
  const left = [...errors];
  const calls = { count: 0 };
  const api = await serveApi({
    getMachine: (_call: unknown, done: Done) => done(null, { machine: machineIn("stopped") }),
    [method]: (_call: unknown, done: Done) => {
      calls.count += 1;
      const error = left.shift();
      if (error === undefined) done(null, response);
      else done(error);
    },
  });
  return { windhover: clientOf(api), calls };
}

const unavailable = apiError("UNAVAILABLE", "HOST_UNREACHABLE", { retryAfterMs: 1 });
const refused = apiError("RESOURCE_EXHAUSTED", "RATE_LIMITED", { retryAfterMs: 1 });
const machine = { machine: machineIn("started") };
const config = { image: "x" };

/** Time after which a far api answers a probe: longer than a loaded machine delays a near one. */
const FAR_MS = 1_500;

type Call = (windhover: Windhover) => Promise<unknown>;

const SAFE: readonly (readonly [string, Call])[] = [
  ["getMachine", ({ machines }) => machines.get(ID)],
  ["createMachine", ({ machines }) => machines.create({ app: "a", config })],
  ["updateMachine", ({ machines }) => machines.update(ID, config)],
  ["stopMachine", ({ machines }) => machines.stop(ID)],
  ["destroyMachine", ({ machines }) => machines.destroy(ID)],
  ["setMachineCordon", ({ machines }) => machines.cordon(ID)],
  ["updateMetadata", ({ machines }) => machines.metadata.set(ID, { a: "b" })],
  ["waitMachine", ({ machines }) => machines.wait(ID)],
  ["acquireMachine", (windhover) => windhover.acquire({ steps: [{ start: ID }] })],
  ["createApp", ({ apps }) => apps.create("a")],
  ["acquireLease", ({ leases }) => leases.acquire(ID)],
];
const UNSAFE: readonly (readonly [string, Call])[] = [
  ["startMachine", ({ machines }) => machines.start(ID)],
  ["restartMachine", ({ machines }) => machines.restart(ID)],
  ["signalMachine", ({ machines }) => machines.signal(ID, "SIGHUP")],
  ["runCommand", ({ exec }) => exec.run(ID, ["true"])],
];

describe("a call that may have been done", () => {
  test("is repeated when it releases a lease, which may be gone then", async () => {
    const none = apiError("NOT_FOUND", "LEASE_NOT_FOUND");
    const lost = await failing("releaseLease", [unavailable, none], {});
    const never = await failing("releaseLease", [none], {});

    await lost.windhover.leases.release(ID, "n");

    expect(lost.calls.count).toBe(2);
    await expect(never.windhover.leases.release(ID, "n")).rejects.toMatchObject({
      reason: "LEASE_NOT_FOUND",
    });
  });

  test.each(SAFE)("is repeated when that is safe: %s", async (method, call) => {
    const answer = { ...machine, app: { name: "a" }, lease: { nonce: "n" } };
    const { windhover, calls } = await failing(method, [unavailable, unavailable], answer);

    await call(windhover);

    expect(calls.count).toBe(3);
  });

  test.each(UNSAFE)("is not repeated otherwise: %s", async (method, call) => {
    const { windhover, calls } = await failing(method, [unavailable], machine);

    await expect(call(windhover)).rejects.toMatchObject({ reason: "HOST_UNREACHABLE" });

    expect(calls.count).toBe(1);
  });
});

test.each([...SAFE, ...UNSAFE])(
  "a call that was refused before it began is repeated: %s",
  async (method, call) => {
    const answer = { ...machine, app: { name: "a" }, lease: { nonce: "n" } };
    const { windhover, calls } = await failing(method, [refused, refused], answer);

    await call(windhover);

    expect(calls.count).toBe(3);
  },
);

test("a create is repeated with the same request id, which is made for it", async () => {
  const ids: string[] = [];
  const api = await serveApi({
    createMachine: ({ request }: { request: { requestId: string } }, done: Done) => {
      ids.push(request.requestId);
      if (ids.length === 1) done(unavailable);
      else done(null, machine);
    },
  });

  await clientOf(api).machines.create({ app: "a", config });

  expect(ids[0]).toMatch(/^[0-9a-f-]{36}$/);
  expect(ids[1]).toBe(ids[0]);
});

describe("a start whose connection is lost", () => {
  /** Serves a start that cuts the connection, and the state that the machine is in afterwards. */
  async function losing(state: "started" | "stopped" | "created") {
    let starts = 0;
    const start = (_call: unknown, done: Done) => {
      starts += 1;
      if (starts === 1) first.kill();
      else done(null, { ...machine, startPath: "warm" });
    };
    const getMachine = (_call: unknown, done: Done) => done(null, { machine: machineIn(state) });
    const first = await serveApi({ startMachine: start, getMachine });
    const second = await serveApi({ startMachine: start, getMachine }, { healthAfterMs: FAR_MS });
    return { windhover: clientOf(first, second), starts: () => starts };
  }

  test("is not repeated when the machine runs", async () => {
    const { windhover, starts } = await losing("started");

    await expect(windhover.machines.start(ID)).resolves.toMatchObject({ alreadyStarted: true });

    expect(starts()).toBe(1);
  });

  test("is not repeated when its program may have run and ended", async () => {
    const { windhover, starts } = await losing("stopped");

    await expect(windhover.machines.start(ID)).rejects.toMatchObject({ reason: "CONNECTION_LOST" });

    expect(starts()).toBe(1);
  });

  test("is repeated when the machine has never been started", async () => {
    const { windhover, starts } = await losing("created");

    await expect(windhover.machines.start(ID)).resolves.toMatchObject({ startPath: "warm" });

    expect(starts()).toBe(2);
  });
});

test("a call that would be repeated after its deadline fails at once", async () => {
  const later = apiError("UNAVAILABLE", "HOST_UNREACHABLE", { retryAfterMs: 60_000 });
  const { windhover, calls } = await failing("getMachine", [later, later], machine);

  const get = windhover.machines.get(ID, { timeoutMs: 50_000 });

  await expect(get).rejects.toMatchObject({ reason: "HOST_UNREACHABLE", retryAfterMs: 60_000 });
  expect(calls.count).toBe(1);
});

test("a call is not repeated without end", async () => {
  const errors = Array.from({ length: 100 }, () => unavailable);
  const { windhover, calls } = await failing("getMachine", errors, machine);

  await expect(windhover.machines.get(ID)).rejects.toMatchObject({ reason: "HOST_UNREACHABLE" });

  expect(calls.count).toBe(9);
});

test("a call that nobody answers fails with DEADLINE_EXCEEDED, and a cancelled one with CANCELLED", async () => {
  const api = await serveApi({ getMachine: () => {} });
  const windhover = clientOf(api);

  const overdue = windhover.machines.get(ID, { timeoutMs: 50 });
  await expect(overdue).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
  const abort = new AbortController();
  const cancelled = windhover.machines.get(ID, { signal: abort.signal });
  abort.abort();
  await expect(cancelled).rejects.toMatchObject({ code: "CANCELLED" });
});

test("an error has its code, reason, facts, wrong fields and time to wait", async () => {
  const violations = [{ field: "config.guest.cpus", description: "1 to 16" }];
  const error = apiError("INVALID_ARGUMENT", "INVALID_FIELDS", {
    facts: { fields: "config.guest.cpus" },
    retryAfterMs: 1_500,
    violations,
  });
  const { windhover } = await failing("updateMachine", [error], machine);

  const caught = await windhover.machines.update(ID, config).catch((err: unknown) => err);

  expect(isWindhoverError(caught, "INVALID_FIELDS")).toBe(true);
  expect(isWindhoverError(caught, "MACHINE_NOT_FOUND")).toBe(false);
  expect(caught).toMatchObject({
    ...{ code: "INVALID_ARGUMENT", reason: "INVALID_FIELDS", violations, retryAfterMs: 1_500 },
    facts: { fields: "config.guest.cpus" },
  });
});

describe("of several apis", () => {
  /** Serves an api that answers with its name. */
  function named(name: string, healthAfterMs: number): Promise<ScriptedApi> {
    const getMachine = (_call: unknown, done: Done) => done(null, { machine: machineIn("started", name) });
    return serveApi({ getMachine }, { healthAfterMs });
  }

  test("the nearest is called, and the next one when it goes", async () => {
    const far = await named("far", FAR_MS);
    const near = await named("near", 0);
    const windhover = clientOf(far, near);

    expect((await windhover.machines.get(ID)).id).toBe("near");
    near.kill();
    expect((await windhover.machines.get(ID)).id).toBe("far");
  });

  test("one that is not there to begin with is passed over", async () => {
    const gone = await named("gone", 0);
    gone.kill();
    const windhover = clientOf(gone, await named("there", 0));

    expect((await windhover.machines.get(ID)).id).toBe("there");
  });

  test("a change that was never sent goes to the next one", async () => {
    const starts: string[] = [];
    const serve = (name: string, healthAfterMs: number) =>
      serveApi(
        {
          startMachine: (_call: unknown, done: Done) => {
            starts.push(name);
            done(null, machine);
          },
          getMachine: (_call: unknown, done: Done) => done(null, machine),
        },
        { healthAfterMs },
      );
    const near = await serve("near", 0);
    const far = await serve("far", FAR_MS);
    const windhover = clientOf(near, far);
    await windhover.machines.get(ID);
    near.kill();

    await windhover.machines.start(ID);

    expect(starts).toEqual(["far"]);
  });
});

test("a call is safe to repeat also when its id is empty", async () => {
  const asked: Record<string, string>[] = [];
  const keep = (call: { request: Record<string, string> }, done: Done) => {
    asked.push(call.request);
    done(null, { ...machine, app: { name: "a" } });
  };
  const served = { createMachine: keep, acquireMachine: keep, createApp: keep, updateMachine: keep };
  const windhover = clientOf(await serveApi(served));

  await windhover.machines.create({ app: "a", config, requestId: "" });
  await windhover.acquire({ steps: [{ start: ID }], key: "" });
  await windhover.apps.create("a", { requestId: "" });
  await windhover.machines.update(ID, config, { requestId: "" });

  expect(asked).toHaveLength(4);
  for (const { requestId, key } of asked) expect(requestId || key).toMatch(/^[0-9a-f-]{36}$/);
});

describe("a client whose token does not come", () => {
  test.each([
    ["a call", (windhover: Windhover, bounds: CallOptions) => windhover.machines.get(ID, bounds)],
    [
      "a watch",
      (windhover: Windhover, bounds: CallOptions) => windhover.machines.watch({ ...bounds, app: "a" }).next(),
    ],
  ])("ends %s in its time, and when it is cancelled", async (_kind, ask) => {
    const api = await serveApi({});
    const windhover = new Windhover({ endpoints: [api.address], token: () => new Promise(() => {}) });
    onTestFinished(() => {
      windhover.close();
      api.kill();
    });
    const leave = new AbortController();

    const cancelled = ask(windhover, { signal: leave.signal }).catch((err: unknown) => err);
    leave.abort();

    expect(await cancelled).toMatchObject({ code: "CANCELLED" });
    await expect(ask(windhover, { timeoutMs: 20 })).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
  });
});
