import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { MachineState } from "../../../../../src/gen/windhover/machines/v1/machine.ts";
import { expectCleanAfterRemoval } from "../../clean.ts";
import { hostFolder, startHost, type TestHost } from "../../fixture.ts";
import { ENDS, POLL, policy, stateWait } from "./restarts.ts";

let host: TestHost;
beforeAll(async () => {
  host = await startHost();
});
afterAll(() => host.close());
afterEach(() => expectCleanAfterRemoval(host));
const becomes = stateWait(() => host);

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
