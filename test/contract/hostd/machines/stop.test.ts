import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { expectCleanAfterRemoval } from "../clean.ts";
import { startHost, type TestHost } from "../fixture.ts";
import { newId } from "../requests.ts";

const UNKNOWN = newId();

let host: TestHost;
beforeAll(async () => {
  host = await startHost();
});
afterAll(() => host.close());
afterEach(() => expectCleanAfterRemoval(host));

describe("stop", () => {
  test("a start right after it does not wait until the last VM is destroyed, and both are counted", async () => {
    const { id } = await host.created();
    await host.start(id);
    host.sim.failNext("destroy", Number.POSITIVE_INFINITY);
    await host.stop(id);

    const { machine } = await host.start(id);

    expect(machine?.state).toBe(MachineState.STARTED);
    expect(await host.sim.list()).toHaveLength(2);
    expect(host.host.ledger.sums().running).toEqual({ cpus: 2, memoryMb: 512, diskMb: 0 });
    host.sim.failNext("destroy", 0);
    await host.host.teardowns.all();
    expect(await host.sim.list()).toHaveLength(1);
    expect(host.host.ledger.sums().running).toEqual({ cpus: 1, memoryMb: 256, diskMb: 0 });
  });

  test("a start right after it waits until the last VM is destroyed when that has the machine's ports", async () => {
    const services = [{ protocol: "tcp", internalPort: 80 }];
    const { id } = await host.created({ config: { services } });
    await host.start(id);
    const { serviceAddresses } = await host.get(id);
    host.sim.failNext("destroy");
    await host.stop(id);

    const { machine } = await host.start(id);

    expect(machine).toMatchObject({ state: MachineState.STARTED, serviceAddresses });
    expect(await host.sim.list()).toHaveLength(1);
    expect(host.host.ledger.sums().running).toEqual({ cpus: 1, memoryMb: 256, diskMb: 0 });
  });

  test("a start right after it on a full host waits until the last VM is destroyed", async () => {
    const { capacity, running } = host.host.ledger.sums();
    const { id } = await host.created();
    await host.start(id);
    host.hold(capacity.memoryMb - running.memoryMb - 256);
    host.sim.failNext("destroy");
    await host.stop(id);

    const { machine } = await host.start(id);

    expect(machine?.state).toBe(MachineState.STARTED);
    expect(await host.sim.list()).toHaveLength(1);
    expect(host.host.ledger.sums().free.memoryMb).toBe(0);
  });

  test("a stop during a start cancels the start, and both are answered", async () => {
    const { id } = await host.created({ exec: ["sim-hang"] });
    const starting = host.start(id);
    starting.catch(() => {});
    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.STARTING);

    const stopped = await host.stop(id);

    await expect(starting).rejects.toMatchObject({ code: "FAILED_PRECONDITION", reason: "INVALID_STATE" });
    expect(stopped.machine).toMatchObject({
      state: MachineState.STOPPED,
      events: [{ type: "stop" }, { type: "launch" }],
    });
  });

  test("a process that ignores its signal is killed after the grace", async () => {
    const { id } = await host.created({ exec: ["sim-signal-ignore"] });
    await host.start(id);

    const { machine } = await host.stop(id, { timeoutMs: 50 });

    expect(machine?.events[0]?.exit).toMatchObject({ signal: "SIGKILL", exitCode: 137, requestedStop: true });
  });

  test("a second stop can escalate the first", async () => {
    const { id } = await host.created({ exec: ["sim-signal-ignore"] });
    await host.start(id);
    const patient = host.stop(id, { timeoutMs: 300_000 });
    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.STOPPING);

    const urgent = await host.stop(id, { signal: "SIGKILL" });

    expect(urgent.machine?.events[0]?.exit?.signal).toBe("SIGKILL");
    expect((await patient).machine?.state).toBe(MachineState.STOPPED);
  });

  test.each([
    ["the request's", "SIGHUP", { stopConfig: { signal: "SIGQUIT" } }, "SIGHUP"],
    ["the configuration's", "", { stopConfig: { signal: "SIGQUIT" } }, "SIGQUIT"],
    ["the image's", "", {}, "SIGTERM"],
  ])("sends %s signal", async (_, signal, config, expected) => {
    const { id } = await host.created({ config });
    await host.start(id);

    const { machine } = await host.stop(id, { signal });

    expect(machine?.events[0]?.exit?.signal).toBe(expected);
  });

  test("sends SIGINT by default", async () => {
    const before = host.images.config;
    host.images.config = { ...before, stopSignal: "" };
    const { id } = await host.created();
    host.images.config = before;
    await host.start(id);

    expect((await host.stop(id)).machine?.events[0]?.exit?.signal).toBe("SIGINT");
  });

  test("before the first start gives up the room that is kept for that", async () => {
    const { id } = await host.created({ keepForLaunch: true });
    expect(host.host.ledger.sums().allocated.memoryMb).toBe(256);

    await host.stop(id);

    expect(host.host.ledger.sums().allocated).toMatchObject({ cpus: 0, memoryMb: 0 });
    await host.destroy(id);
  });

  test("a start while it stops waits, and starts it then", async () => {
    const { id } = await host.created({ exec: ["sim-signal-ignore"] });
    await host.start(id);
    const stopping = host.stop(id, { timeoutMs: 300_000 });
    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.STOPPING);

    const starting = host.start(id);
    await host.stop(id, { signal: "SIGKILL" });

    expect((await stopping).machine?.state).toBe(MachineState.STOPPED);
    expect(await starting).toMatchObject({
      previousState: MachineState.STOPPED,
      machine: { state: MachineState.STARTED },
    });
    await host.destroy(id, { force: true });
  });

  test("wrong fields", async () => {
    const { id } = await host.created();

    await expect(host.stop(id, { signal: "SIGFOO", timeoutMs: 300_001 })).rejects.toMatchObject({
      reason: "INVALID_FIELDS",
      facts: { fields: "signal,timeout" },
    });
    await expect(host.stop(UNKNOWN)).rejects.toMatchObject({ reason: "MACHINE_NOT_FOUND" });
    const creating = await host.create();
    await expect(host.stop(creating.id)).rejects.toMatchObject({ reason: "INVALID_STATE" });
  });
});

describe("destroy", () => {
  test("of a running machine needs force, and kills it then", async () => {
    const { id } = await host.created();
    await host.start(id);

    await expect(host.destroy(id)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "MACHINE_RUNNING",
    });
    const { machine } = await host.destroy(id, { force: true });

    expect(machine?.state).toBe(MachineState.DESTROYED);
    expect(machine?.events.map(({ type }) => type).slice(0, 2)).toEqual(["exit", "destroy"]);
    expect(machine?.events[0]?.exit).toMatchObject({ signal: "SIGKILL", requestedStop: true });
  });

  test("with force during a start, and during a stop with a long grace", async () => {
    const hanging = await host.created({ exec: ["sim-hang"] });
    const starting = host.start(hanging.id);
    starting.catch(() => {});
    const stubborn = await host.created({ exec: ["sim-signal-ignore"] });
    await host.start(stubborn.id);
    const stopping = host.stop(stubborn.id, { timeoutMs: 300_000 });
    await expect.poll(async () => (await host.get(stubborn.id)).state).toBe(MachineState.STOPPING);

    const gone = await Promise.all([hanging.id, stubborn.id].map((id) => host.destroy(id, { force: true })));

    expect(gone.map(({ machine }) => machine?.state)).toEqual([
      MachineState.DESTROYED,
      MachineState.DESTROYED,
    ]);
    await expect(starting).rejects.toMatchObject({ reason: "INVALID_STATE" });
    await stopping;
  });

  test("of an unknown machine succeeds only when asked to", async () => {
    await expect(host.destroy(UNKNOWN)).rejects.toMatchObject({ reason: "MACHINE_NOT_FOUND" });

    expect((await host.destroy(UNKNOWN, { ignoreMissing: true })).machine).toBeUndefined();
    await expect(host.destroy(newId(9), { ignoreMissing: true })).rejects.toMatchObject({
      reason: "WRONG_HOST",
    });
  });

  test("works while the image cache is away", async () => {
    const { id } = await host.created();
    host.images.fault = new Fault("UNAVAILABLE", "IMAGECACHE_UNAVAILABLE", "away");

    expect((await host.destroy(id)).machine?.state).toBe(MachineState.DESTROYED);
  });
});
