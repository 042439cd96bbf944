import { afterEach, beforeEach, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { suspending } from "../../../../src/hostd/machines/decisions/suspend.ts";
import { machineId } from "../../../../src/hostd/machines/machine.ts";
import { SimVmm } from "../../../../src/hostd/vmm/sim/sim-vmm.ts";
import type { Vmm } from "../../../../src/hostd/vmm/vmm.ts";
import { durationToProto } from "../../../../src/lib/grpc/messages/duration.ts";
import { hostFolder, startHost, type TestHost } from "../fixture.ts";

const POLL = { timeout: 20_000, interval: 5 };
const OTHER = `sha256:${"e".repeat(64)}`;
const SAVED_MB = 8;

let host: TestHost;
beforeEach(async () => {
  host = await startHost();
});
afterEach(() => host.close());

async function running(on: TestHost = host, exec: string[] = []): Promise<string> {
  const { id } = await on.created({ exec });
  await on.start(id, { watchMs: 0 });
  return id;
}

function reason(name: string) {
  return expect.objectContaining({ reason: name });
}

test("a suspended machine holds the disk of what is saved, no CPU and no memory, and a start lets it go on", async () => {
  const id = await running();
  const { allocated: before } = host.host.ledger.sums();

  const { machine, alreadySuspended } = await host.suspend(id, { source: "machine" });

  expect(machine).toMatchObject({ state: MachineState.SUSPENDED, ready: false });
  expect(alreadySuspended).toBe(false);
  expect(machine?.events.slice(0, 2)).toMatchObject([
    { type: "suspend", status: MachineState.SUSPENDED, source: "hostd" },
    { type: "suspend", status: MachineState.SUSPENDING, source: "machine" },
  ]);
  await host.host.teardowns.all();
  expect(await host.sim.list()).toEqual([]);
  expect(host.host.ledger.sums().running).toMatchObject({ cpus: 0, memoryMb: 0 });
  expect(host.host.ledger.sums().allocated.diskMb).toBe(before.diskMb + SAVED_MB);
  expect((await host.suspend(id)).alreadySuspended).toBe(true);

  const started = await host.start(id);

  expect(started).toMatchObject({ startPath: "resume", previousState: MachineState.SUSPENDED });
  expect(started.machine).toMatchObject({ state: MachineState.STARTED, lastStartPath: "resume" });
  // Its VM still reads what it was saved as.
  expect(host.host.ledger.sums().allocated).toEqual({ ...before, diskMb: before.diskMb + SAVED_MB });
  expect(await host.sim.saved()).toEqual([]);
  await host.stop(id);
  expect(host.host.ledger.sums().allocated.diskMb).toBe(before.diskMb);
});

test("a leased machine is suspended with the nonce, or for the undo of a start", async () => {
  const id = await running();
  await host.acquire(id);

  await expect(host.suspend(id)).rejects.toEqual(reason("LEASE_HELD"));
  const { machine } = await host.suspend(id, { ignoreLease: true });

  expect(machine).toMatchObject({ state: MachineState.SUSPENDED });
});

test("a machine whose saved memory cannot be used is started anew, and says so", async () => {
  const id = await running();
  await host.suspend(id);
  host.sim.failNext("resume");

  const { machine, startPath } = await host.start(id);

  expect(startPath).toBe("cold");
  expect(machine?.events[0]).toMatchObject({
    type: "start",
    message: expect.stringContaining("what was saved could not go on"),
  });
  await expect.poll(() => host.sim.saved(), POLL).toEqual([]);
});

test("a stop, an update and a destroy of a suspended machine drop what is saved", async () => {
  const [stopped, updated, destroyed] = [await running(), await running(), await running()];
  for (const id of [stopped, updated, destroyed]) await host.suspend(id);
  expect(await host.sim.saved()).toHaveLength(3);

  await host.stop(stopped);
  await host.update(updated, { digest: OTHER });
  await host.destroy(destroyed);

  await expect.poll(() => host.sim.saved(), POLL).toEqual([]);
  expect((await host.get(stopped)).state).toBe(MachineState.STOPPED);
  expect(await host.start(stopped)).toMatchObject({ startPath: "cold" });
  expect(host.host.ledger.sums().allocated.diskMb).toBe(2 * 1_024);
});

test("a start during a suspend cancels it: the machine goes on, in the same VM", async () => {
  const id = await running();
  const vms = await host.sim.list();
  host.sim.hold("save");
  const suspend = host.suspend(id).catch((err: unknown) => err);
  await expect.poll(async () => (await host.get(id)).state, POLL).toBe(MachineState.SUSPENDING);

  const { alreadyStarted, machine } = await host.start(id);

  expect(await suspend).toEqual(reason("SUSPEND_CANCELLED"));
  expect({ alreadyStarted, state: machine?.state }).toEqual({
    alreadyStarted: true,
    state: MachineState.STARTED,
  });
  expect(await host.sim.list()).toEqual(vms);
  expect(await host.sim.saved()).toEqual([]);
  expect(host.host.ledger.sums().allocated.diskMb).toBe(1_024);
});

test("a stop during a suspend stops the machine, and nothing is left", async () => {
  const id = await running();
  host.sim.hold("save");
  const suspend = host.suspend(id).catch((err: unknown) => err);
  await expect.poll(async () => (await host.get(id)).state, POLL).toBe(MachineState.SUSPENDING);

  await host.stop(id);

  expect(await suspend).toEqual(reason("INVALID_STATE"));
  expect((await host.get(id)).state).toBe(MachineState.STOPPED);
  expect(await host.sim.saved()).toEqual([]);
});

test("a machine that cannot be saved goes on, and says why", async () => {
  const id = await running();
  host.sim.failNext("save");

  await expect(host.suspend(id)).rejects.toEqual(reason("SUSPEND_FAILED"));

  const { state, events } = await host.get(id);
  expect(state).toBe(MachineState.STARTED);
  expect(events[0]).toMatchObject({ type: "failure", reason: "SUSPEND_FAILED" });
  expect(await host.suspend(id)).toMatchObject({ alreadySuspended: false });
});

test("without room on the disk nothing is begun", async () => {
  const full = await startHost({ settings: { capacity: { cpus: 8, memoryMb: 2_048, diskMb: 1_100 } } });
  try {
    const id = await running(full);
    const { generation } = await full.get(id);

    await expect(full.suspend(id)).rejects.toEqual(reason("DISK_FULL"));

    expect(await full.get(id)).toMatchObject({ state: MachineState.STARTED, generation });
  } finally {
    await full.close();
  }
});

test("a machine that does not run is not suspended, and one that a proxy may use is not for being idle", async () => {
  const { id: created } = await host.created();
  const id = await running();

  await expect(host.suspend(created)).rejects.toEqual(reason("INVALID_STATE"));
  await expect(host.suspend(id, { ifUnusedFor: durationToProto(1_000) })).rejects.toEqual(
    reason("MACHINE_IN_USE"),
  );
  expect((await host.get(id)).state).toBe(MachineState.STARTED);
});

test("a restart of a suspended machine begins anew, unless the host has no room for it: it stays suspended then", async () => {
  const id = await running();
  await host.suspend(id);
  const other = await host.created({ memoryMb: 2_048 });
  await host.start(other.id);

  await expect(host.restart(id)).rejects.toMatchObject({ reason: "INSUFFICIENT_CAPACITY" });
  const refused = await host.get(id);
  await host.stop(other.id);
  const { machine } = await host.restart(id);

  expect(refused.state).toBe(MachineState.SUSPENDED);
  expect(machine).toMatchObject({ state: MachineState.STARTED, lastStartPath: "cold" });
  await expect.poll(() => host.sim.saved(), POLL).toEqual([]);
});

test("a start of a machine that is not taken over yet waits, and the machine goes on in the same VM", async () => {
  const folder = hostFolder();
  const [gate, dir] = [Promise.withResolvers<void>(), folder.path];
  const before = await startHost({ dir });
  const id = machineId(await running(before));
  const vms = await before.sim.list();
  const why = { source: "user", message: "" } as const;
  // As hostd leaves it that dies while it saves.
  await before.machines.driver(id).runtime.intend((machine, at) => suspending(machine, why, at));
  await before.close(true);
  const late = (sim: SimVmm): Vmm =>
    Object.assign(sim, {
      adopt: async (...asked: Parameters<Vmm["adopt"]>) => {
        await gate.promise;
        return SimVmm.prototype.adopt.apply(sim, asked);
      },
    });
  const after = await startHost({ dir, vmm: late, limits: { takeOverMs: 1 } });
  try {
    const started = after.machines.start(id, "", 0);
    gate.resolve();

    expect(await started).toMatchObject({ already: true });
    expect(await after.sim.list()).toEqual(vms);
    expect((await after.get(id)).events.map(({ type }) => type)).not.toContain("stop");
  } finally {
    gate.resolve();
    await after.close();
    folder.remove();
  }
});

test("the policy restarts a resumed machine when its process ends", async () => {
  const { id } = await host.created({
    exec: ["sim-exit", "1", "sim-run-for", "400"],
    config: { restart: { policy: "always", maxRetries: 1 } },
  });
  await host.start(id, { watchMs: 0 });
  await host.suspend(id);

  await host.start(id, { watchMs: 0 });

  await expect.poll(async () => (await host.get(id)).restartCount, POLL).toBe(1);
});
