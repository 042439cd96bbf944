import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import {
  CheckConfig,
  MachineConfig,
  MachineState,
} from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { machineId } from "../../../../src/hostd/machines/machine.ts";
import { expectCleanAfterRemoval } from "../clean.ts";
import { hostFolder, startHost, type TestHost } from "../fixture.ts";

const POLL = { timeout: 20_000, interval: 10 };
const ENDS = ["sim-exit", "1", "sim-run-for", "5"];
/** Ends, with code 1, when the test says so. */
const ENDS_LATER = ["sim-signal-exit", "1"];

let host: TestHost;
beforeAll(async () => {
  host = await startHost();
});
afterAll(() => host.close());
afterEach(() => expectCleanAfterRemoval(host));

const policy = (name: string, maxRetries = 0) => ({ restart: { policy: name, maxRetries } });

let version = 0;
/** Suspends organisations, and no others. */
function suspend(...orgs: string[]): void {
  version += 1;
  const restrictions = orgs.map((org) => ({ org, isSuspended: true, notBeforeMs: 0 }));
  host.revocations.replace({ version, tokens: [], orgs: restrictions });
}

/** Waits until a machine is in a state. */
async function becomes(id: string, state: MachineState, on = host) {
  await expect.poll(async () => (await on.get(id)).state, POLL).toBe(state);
  return on.get(id);
}

/** Waits until a machine is between two runs, after so many restarts or more. */
async function isBetweenRuns(id: string, restarts: number, on = host) {
  let machine = await on.get(id);
  const hasCome = async () => {
    machine = await on.get(id);
    return machine.state === MachineState.RESTARTING && machine.restartCount >= restarts;
  };
  await expect.poll(hasCome, POLL).toBe(true);
  return machine;
}

async function endProcess(id: string): Promise<void> {
  await host.machines.driver(machineId(id)).runtime.vm?.signal(15);
}

/** All events of a machine, oldest first. */
async function eventsOf(id: string, on = host) {
  const entries = await on.store.outbox(0, 10_000);
  return entries.flatMap(({ machine, event }) => (machine.id === id && event ? [event] : []));
}

describe("a restart policy", () => {
  test.each([
    ["always", ["sim-exit", "0", "sim-run-for", "5"]],
    ["on-failure", ENDS],
    ["on-failure", ["sim-lost", "sim-run-for", "5"]],
  ])("%s restarts a machine whose process has ended: %s", async (name, exec) => {
    const { id } = await host.created({ exec, config: policy(name) });
    await host.start(id, { watchMs: 0 });

    await expect.poll(async () => (await host.get(id)).restartCount, POLL).toBeGreaterThanOrEqual(1);

    await expect
      .poll(async () => (await eventsOf(id)).filter(({ type }) => type === "exit").length, POLL)
      .toBeGreaterThanOrEqual(2);
    const [, first, exit, again] = await eventsOf(id);
    expect(first).toMatchObject({ type: "start", source: "user" });
    expect(exit).toMatchObject({
      ...{ type: "exit", status: "restarting" },
      exit: { restarting: true, requestedStop: false },
    });
    expect(again).toMatchObject({ type: "start", source: "hostd" });
    const exits = (await eventsOf(id)).filter(({ type }) => type === "exit");
    expect(exits[1]?.restartCount).toBe(1);
  });

  test.each([
    ["no", ENDS],
    ["", ENDS],
    ["on-failure", ["sim-exit", "0", "sim-run-for", "5"]],
  ])("%s leaves a machine stopped: %s", async (name, exec) => {
    const { id } = await host.created({ exec, config: name === "" ? {} : policy(name) });
    await host.start(id, { watchMs: 0 });

    const machine = await becomes(id, MachineState.STOPPED);

    expect(machine).toMatchObject({ restartCount: 0, nextStartTime: undefined });
    expect(machine.events[0]).toMatchObject({ type: "exit", exit: { restarting: false } });
  });

  test("gives up when the process has ended too often, and says so", async () => {
    const { id } = await host.created({ exec: ENDS, config: policy("always", 2) });
    await host.start(id, { watchMs: 0 });

    const machine = await becomes(id, MachineState.STOPPED);

    expect(machine.restartCount).toBe(2);
    expect(machine.events[0]).toMatchObject({
      ...{ type: "exit", reason: "RESTARTS_EXHAUSTED", restartCount: 2, exit: { restarting: false } },
      message: expect.stringContaining("2 times"),
    });
    expect((await host.start(id, { watchMs: 0 })).machine?.restartCount).toBe(0);
  });

  test("tells when it starts the machine next, and a start does not wait for it", async () => {
    const { id } = await host.created({ exec: ENDS, config: policy("always", 5) });
    await host.start(id, { watchMs: 0 });
    const between = await isBetweenRuns(id, 2);
    expect(Number(between.nextStartTime)).toBeGreaterThan(Number(between.updateTime) + 1_000);

    const { machine, previousState } = await host.start(id, { watchMs: 0 });

    expect(previousState).toBe(MachineState.RESTARTING);
    expect(machine?.restartCount).toBe(0);
  });

  test("yields to a stop, while the process runs and between two runs", async () => {
    const running = await host.created({ config: policy("always") });
    await host.start(running.id);
    const ending = await host.created({ exec: ENDS, config: policy("always", 5) });
    await host.start(ending.id, { watchMs: 0 });
    await isBetweenRuns(ending.id, 2);

    const stopped = await Promise.all([host.stop(running.id), host.stop(ending.id)]);

    expect(stopped.map(({ machine }) => machine?.state)).toEqual([
      MachineState.STOPPED,
      MachineState.STOPPED,
    ]);
    expect(stopped[0]?.machine?.events[0]?.exit).toMatchObject({ requestedStop: true, restarting: false });
    expect(stopped[1]?.machine?.events[0]).toMatchObject({ type: "stop", source: "user" });
    expect((await host.get(ending.id)).nextStartTime).toBeUndefined();
  });

  test("finds no room, tries again, and then fails visibly", async () => {
    const { id } = await host.created({ exec: ENDS_LATER, config: policy("always", 2) });
    await host.start(id, { watchMs: 0 });
    const { ledger } = host.host;
    const holdAll = () => host.hold(ledger.sums().free.memoryMb, 60_000);
    const releaseVm = ledger.releaseVm.bind(ledger);
    // No restart comes between: what becomes free is held at once.
    const released = vi.spyOn(ledger, "releaseVm").mockImplementation((...given) => {
      releaseVm(...given);
      holdAll();
    });
    holdAll();
    await endProcess(id);

    const machine = await becomes(id, MachineState.FAILED);

    released.mockRestore();
    expect(machine.events[0]).toMatchObject({ type: "failure", reason: "INSUFFICIENT_CAPACITY" });
  });

  test("waits while the host has no slot, and counts no restart meanwhile", async () => {
    const { id } = await host.created({ exec: ENDS_LATER, config: policy("always", 1) });
    await host.start(id, { watchMs: 0 });
    const { starts } = host.host;
    const others = new AbortController();
    const slots: Promise<() => void>[] = [];
    // Room is made for one organisation as long as another has more than one start.
    for (let org = 0; !starts.isFull; org += 1) slots.push(starts.enter(`org-${org}`, others.signal));
    const asked = vi.spyOn(starts, "enter");
    await endProcess(id);

    await expect.poll(() => asked.mock.calls.length, POLL).toBeGreaterThanOrEqual(2);
    expect(await host.get(id)).toMatchObject({ state: MachineState.RESTARTING, restartCount: 0 });
    others.abort(new Error("enough"));
    for (const slot of await Promise.allSettled(slots)) if (slot.status === "fulfilled") slot.value();
    asked.mockRestore();

    await becomes(id, MachineState.STARTED);
    await endProcess(id);
    const machine = await becomes(id, MachineState.STOPPED);
    expect(machine).toMatchObject({
      restartCount: 1,
      events: [{ reason: "RESTARTS_EXHAUSTED" }, {}, {}, {}, {}],
    });
  });

  test("restarts a program that cannot be run as often as one that ends", async () => {
    const { id } = await host.created({ exec: ENDS_LATER, config: policy("always", 2) });
    await host.start(id, { watchMs: 0 });
    host.sim.failNext("launch", 5);
    await endProcess(id);

    const machine = await becomes(id, MachineState.FAILED);

    host.sim.failNext("launch", 0);
    expect(machine.events[0]).toMatchObject({ type: "failure", reason: "START_FAILED" });
    expect(machine.events[1]).toMatchObject({ type: "failure", status: MachineState.RESTARTING });
  });

  test("does not restart machines of a banned organisation", async () => {
    const { id } = await host.created({
      exec: ["sim-exit", "1", "sim-run-for", "100"],
      config: policy("always"),
    });
    await host.start(id, { watchMs: 0 });
    suspend("acme");

    const machine = await becomes(id, MachineState.STOPPED);

    suspend();
    expect(machine.events[0]).toMatchObject({ type: "failure", reason: "ORG_BANNED" });
  });

  test("goes on after a restart of hostd, with its backoff", async () => {
    const folder = hostFolder();
    const before = await startHost({ dir: folder.path });
    const { id } = await before.created({ exec: ENDS, config: policy("always", 4) });
    await before.start(id, { watchMs: 0 });
    const was = await isBetweenRuns(id, 2, before);
    await before.close(true);

    // Its clock is behind, so that it is there before the backoff is over.
    const clock = { now: () => Date.now() - 4_000, monotonicMs: () => performance.now() };
    const after = await startHost({ dir: folder.path, clock });

    expect(await after.get(id)).toEqual(was);
    const starts = async () => (await eventsOf(id, after)).filter(({ type }) => type === "start");
    await expect.poll(async () => (await starts()).length, POLL).toBe(was.restartCount + 2);
    expect((await starts()).at(-1)?.timeMs).toBeGreaterThanOrEqual(Number(was.nextStartTime));
    await after.close();
    folder.remove();
  });
});

describe("a machine that destroys itself", () => {
  const config = { autoDestroy: true };

  test("does so when its process has ended", async () => {
    const { id } = await host.created({ exec: ENDS, config });
    await host.start(id, { watchMs: 0 });

    const machine = await becomes(id, MachineState.DESTROYED);

    expect(machine.events).toMatchObject([
      { type: "destroy", source: "hostd" },
      { type: "exit" },
      { type: "start" },
      { type: "launch" },
    ]);
  });

  test("does so after a stop, and its restarts come first", async () => {
    const { id } = await host.created({ config });
    await host.start(id);
    await host.stop(id);
    await becomes(id, MachineState.DESTROYED);
    const failing = await host.created({ exec: ENDS, config: { ...config, ...policy("on-failure", 1) } });
    await host.start(failing.id, { watchMs: 0 });

    const machine = await becomes(failing.id, MachineState.DESTROYED);

    expect(machine.events.filter(({ type }) => type === "exit")).toHaveLength(2);
  });

  test("stays when it is stopped before it was ever started", async () => {
    const { id } = await host.created({ config });

    expect((await host.stop(id)).machine?.state).toBe(MachineState.STOPPED);

    expect((await host.start(id)).machine?.state).toBe(MachineState.STARTED);
    await host.stop(id);
    await becomes(id, MachineState.DESTROYED);
  });

  test("stays as long as it has not run, and does so when hostd was away at the end", async () => {
    const folder = hostFolder();
    const before = await startHost({ dir: folder.path });
    const idle = await before.created({ config });
    const { id } = await before.created({ config });
    await before.start(id);
    await before.close(true);
    for (const vmId of await before.sim.list()) await before.sim.destroy(vmId);

    const after = await startHost({ dir: folder.path });

    await becomes(id, MachineState.DESTROYED, after);
    expect((await after.get(idle.id)).state).toBe(MachineState.CREATED);
    await after.close();
    folder.remove();
  });
});

test("configurations with everything are returned unchanged", async () => {
  const config = {
    ...policy("on-failure", 3),
    autoDestroy: true,
    schedule: "daily",
    files: [{ guestPath: "/etc/x", content: Buffer.from([0, 255, 10]), mode: 0o600 }],
    dns: { nameservers: ["1.1.1.1"], searches: ["a.b"], options: ["ndots:2"], hostname: "h" },
    extra: { checks: { web: { port: 80, tags: ["a", null] } } },
    init: { tty: true, exec: ["/bin/server"] },
  };

  const { id } = await host.created({ config });

  expect((await host.get(id)).config).toMatchObject(config);
});

test("what proxies and checks do is returned unchanged, also by the next hostd", async () => {
  const seconds = (count: number) => ({ seconds: BigInt(count), nanos: 0 });
  const check = { type: "http", path: "/up", interval: seconds(5), gracePeriod: seconds(0) };
  const { services, checks, ...others } = MachineConfig.fromPartial({
    services: [
      {
        ...{ protocol: "tcp", internalPort: 8080, autostart: false, autostop: "suspend" },
        ports: [{ port: 80, handlers: ["http"], httpOptions: { responseHeaders: new Map([["via", ""]]) } }],
        ...{ concurrency: { softLimit: 1 }, checks: [check], idleTimeout: seconds(60) },
      },
      { protocol: "udp", internalPort: 53, ports: [{ startPort: 53, endPort: 54 }] },
    ],
    checks: new Map([["up", CheckConfig.fromPartial({ port: 1, kind: "readiness" })]]),
    ...{ snapshot: "ready", maxLifetime: seconds(3_600), maxBusy: seconds(0) },
  });
  const { snapshot, maxLifetime, maxBusy } = others;
  const config = { services, checks, snapshot, maxLifetime, maxBusy };
  const folder = hostFolder();
  const before = await startHost({ dir: folder.path });
  const { id } = await before.created({ config });
  expect((await before.get(id)).config).toMatchObject(config);
  await before.close();

  const after = await startHost({ dir: folder.path });

  expect((await after.get(id)).config).toMatchObject(config);
  await after.close();
  folder.remove();
});
