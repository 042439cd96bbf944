import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { machineId } from "../../../../src/hostd/machines/machine.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { expectCleanAfterRemoval } from "../clean.ts";
import { hostFolder, startHost, type TestHost } from "../fixture.ts";

const OTHER = `sha256:${"e".repeat(64)}`;

let host: TestHost;
beforeAll(async () => {
  // Processes that ignore their signal end only when a test says so.
  host = await startHost({ limits: { graceMs: 300_000 } });
});
afterAll(() => host.close());
afterEach(() => expectCleanAfterRemoval(host));

const pinsOf = (id: string) => [...host.images.pins].filter((pin) => pin.endsWith(id));

describe("an update", () => {
  test("of a machine that runs replaces VM, configuration, image and size", async () => {
    const { id, instanceId } = await host.created({ config: { metadata: new Map([["a", "1"]]) } });
    await host.start(id);
    const config = { env: new Map([["B", "2"]]) };

    const { machine } = await host.update(id, { memoryMb: 512, digest: OTHER, config });

    expect(machine).toMatchObject({
      state: MachineState.STARTED,
      imageRef: { digest: OTHER },
      config: { guest: { memoryMb: 512 }, metadata: new Map(), env: config.env },
      events: [
        { type: "start" },
        { type: "exit", instanceId, exit: { requestedStop: true, restarting: true, signal: "SIGTERM" } },
        { type: "update", status: MachineState.UPDATING, source: "user" },
        { type: "start", instanceId },
        { type: "launch", instanceId },
      ],
    });
    const next = machine?.instanceId ?? "";
    expect(next > instanceId).toBe(true);
    expect(machine?.events[0]?.instanceId).toBe(next);
    await host.host.teardowns.all();
    await expect.poll(() => pinsOf(id)).toEqual([`${OTHER} ${id}`]);
    expect(await host.sim.list()).toHaveLength(1);
    expect(host.host.ledger.sums().allocated).toEqual({ cpus: 1, memoryMb: 512, diskMb: 1_024 });
  });

  test("of a machine that does not run leaves it so, unless it is to be launched", async () => {
    const { id } = await host.created();

    expect((await host.update(id)).machine?.state).toBe(MachineState.CREATED);
    expect((await host.update(id, { launch: true })).machine?.state).toBe(MachineState.STARTED);
    await host.stop(id);
    const { machine } = await host.update(id, { exec: ["/bin/other"] });

    expect(machine).toMatchObject({
      state: MachineState.STOPPED,
      config: { init: { exec: ["/bin/other"] } },
    });
    expect(await host.update(id, { skipLaunch: true })).toMatchObject({
      machine: { state: MachineState.STOPPED },
    });
    expect((await host.start(id)).machine?.state).toBe(MachineState.STARTED);
  });

  test("starts a machine that has failed, unless it is not to be launched", async () => {
    const { id } = await host.created({ exec: ["sim-exec-fail"] });
    await expect(host.start(id)).rejects.toMatchObject({ reason: "EXEC_FAILED" });

    const still = await host.update(id, { skipLaunch: true, exec: ["sim-run"] });
    const { machine } = await host.update(id, { exec: ["sim-run"] });

    expect(still.machine?.state).toBe(MachineState.FAILED);
    expect(machine?.state).toBe(MachineState.STARTED);
  });

  test("leaves a machine that runs stopped when it is not to be launched", async () => {
    const { id } = await host.created();
    await host.start(id);

    const { machine } = await host.update(id, { skipLaunch: true });

    expect(machine).toMatchObject({
      state: MachineState.STOPPED,
      events: [{ type: "exit" }, { type: "update" }, {}, {}],
    });
    expect(machine?.events[0]?.exit?.restarting).toBe(false);
    await host.host.teardowns.all();
    expect(host.host.ledger.sums().running.memoryMb).toBe(0);
  });

  test("is refused for another version than the machine has, and changes nothing", async () => {
    const { id, instanceId } = await host.created();
    const { machine } = await host.update(id, { currentVersion: instanceId });

    await expect(host.update(id, { currentVersion: instanceId })).rejects.toMatchObject({
      code: "ABORTED",
      reason: "VERSION_MISMATCH",
      facts: { current_version: machine?.instanceId },
    });
    expect(await host.get(id)).toEqual(machine);
  });

  test("of two at once that expect the same version, one wins", async () => {
    const { id, instanceId: currentVersion } = await host.created();
    await host.start(id);

    const all = await Promise.allSettled([1, 2, 3].map(() => host.update(id, { currentVersion })));

    expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect((await host.get(id)).state).toBe(MachineState.STARTED);
  });

  test("is refused while another holds the lease, which outlives an update", async () => {
    const { id } = await host.created();
    const { nonce: leaseNonce } = await host.acquire(id);

    await expect(host.update(id)).rejects.toMatchObject({ reason: "LEASE_HELD" });
    const { machine } = await host.update(id, { leaseNonce });

    expect(machine?.lease?.owner).toBe("ann");
    await host.destroyLeased(id);
  });

  test("of a machine that destroys itself is refused", async () => {
    const { id } = await host.created({ config: { autoDestroy: true } });

    await expect(host.update(id)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "AUTO_DESTROY",
    });
  });

  test("pulls the image before it touches the machine, and a failed pull changes nothing", async () => {
    const { id } = await host.created();
    await host.start(id);
    const was = await host.get(id);
    const vms = await host.sim.list();
    host.images.fault = new Fault("UNAVAILABLE", "IMAGECACHE_UNAVAILABLE", "away");

    await expect(host.update(id, { digest: OTHER })).rejects.toMatchObject({
      reason: "IMAGECACHE_UNAVAILABLE",
    });

    host.images.fault = undefined;
    const gate = Promise.withResolvers<void>();
    host.images.gate = gate.promise;
    const updating = host.update(id, { digest: OTHER });
    await expect.poll(() => host.machines.pinsOfUpdates()).toHaveLength(1);
    expect(await host.get(id)).toEqual(was);
    expect(await host.sim.list()).toEqual(vms);
    gate.resolve();
    expect((await updating).machine?.state).toBe(MachineState.STARTED);
  });

  test("without room is refused and leaves the machine running as it was", async () => {
    const { id } = await host.created();
    await host.start(id);
    const was = await host.get(id);
    const { free } = host.host.ledger.sums();
    const { reservationId } = host.hold(free.memoryMb - 256);

    await expect(host.update(id, { memoryMb: 1_024, digest: OTHER })).rejects.toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "INSUFFICIENT_CAPACITY",
      message: expect.stringContaining("could not reserve resource for machine: insufficient memory"),
    });

    expect(await host.get(id)).toEqual(was);
    expect(pinsOf(id)).toEqual([expect.stringContaining("sha256:d")]);
    expect((await host.update(id, { memoryMb: 512 })).machine?.state).toBe(MachineState.STARTED);
    host.host.ledger.release([reservationId]);
  });

  test("keeps the ports of services that stay, and releases those of others", async () => {
    const services = [80, 81].map((internalPort) => ({ protocol: "tcp", internalPort }));
    const { id } = await host.created({ config: { services } });
    await host.start(id);
    const [http] = (await host.get(id)).serviceAddresses;

    const changed = [{ protocol: "udp", internalPort: 90 }, ...services.slice(0, 1)];
    const { machine } = await host.update(id, { config: { services: changed } });

    expect(machine?.serviceAddresses).toMatchObject([{ protocol: "udp", internalPort: 90 }, http]);
    await host.update(id, { config: { services: [] } });
    await host.destroy(id, { force: true });
  });

  test("keeps nothing of versions that are gone, whether or not they ran, and when several come at once", async () => {
    const own = await startHost({ settings: { portRange: { from: 28_990, to: 28_994 } } });
    const servicesAt = (internalPort: number) => ({ services: [{ protocol: "tcp", internalPort }] });
    const { id } = await own.created({ config: servicesAt(1) });

    for (let port = 2; port < 12; port += 1)
      await own.update(id, { digest: OTHER, config: servicesAt(port) });
    await Promise.all([own.update(id, { launch: true }), own.update(id, { digest: OTHER }), own.update(id)]);

    const { imageRef } = await own.get(id);
    await expect.poll(() => [...own.images.pins]).toEqual([`${imageRef?.digest} ${id}`]);
    await own.close();
  });

  test("is cut short by a stop: the new version is there, and stopped", async () => {
    const { id, instanceId } = await host.created({ exec: ["sim-signal-ignore"] });
    await host.start(id);
    const updating = host.update(id, { config: { stopConfig: {} } });
    updating.catch(() => {});
    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.UPDATING);

    const { machine } = await host.stop(id, { timeoutMs: 0 });

    await expect(updating).rejects.toMatchObject({ reason: "INVALID_STATE" });
    expect(machine).toMatchObject({
      state: MachineState.STOPPED,
      events: [{ type: "stop" }, { type: "exit", instanceId }, {}, {}],
    });
    expect(machine?.instanceId).not.toBe(instanceId);
    expect(host.host.ledger.sums().allocated.memoryMb).toBe(0);
  });

  test("is ended by a destroy, and by one during its pull", async () => {
    const [running, idle] = [await host.created({ exec: ["sim-signal-ignore"] }), await host.created()];
    await host.start(running.id);
    const updating = host.update(running.id, { digest: OTHER });
    updating.catch(() => {});
    await expect.poll(async () => (await host.get(running.id)).state).toBe(MachineState.UPDATING);
    host.images.gate = new Promise(() => {});
    const pulling = host.update(idle.id, { digest: OTHER });
    pulling.catch(() => {});
    await expect.poll(() => host.machines.pinsOfUpdates().length).toBe(2);

    await host.destroy(running.id, { force: true });
    await host.destroy(idle.id);

    await expect(updating).rejects.toMatchObject({ reason: "INVALID_STATE" });
    await expect(pulling).rejects.toMatchObject({ reason: "INVALID_STATE" });
    host.images.gate = Promise.resolve();
    await expect.poll(() => [...pinsOf(running.id), ...pinsOf(idle.id)]).toEqual([]);
  });

  test("whose program cannot be run leaves the new version failed", async () => {
    const { id } = await host.created();
    await host.start(id);

    await expect(host.update(id, { exec: ["sim-exec-fail"] })).rejects.toMatchObject({
      reason: "EXEC_FAILED",
    });

    expect(await host.get(id)).toMatchObject({
      state: MachineState.FAILED,
      config: { init: { exec: ["sim-exec-fail"] } },
    });
    expect((await host.update(id, { launch: true })).machine?.state).toBe(MachineState.STARTED);
  });

  test("is waited for by a start, and reported whole", async () => {
    const { id, instanceId } = await host.created({ exec: ["sim-signal-ignore"] });
    await host.start(id);
    const updating = host.update(id);
    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.UPDATING);
    const starting = host.start(id);
    await expect(host.wait(id, { states: [MachineState.STARTED], instanceId })).rejects.toMatchObject({
      reason: "REPLACED",
    });
    host.machines
      .driver(machineId(id))
      .runtime.vm?.signal(9)
      .catch(() => {});

    expect((await starting).machine?.state).toBe(MachineState.STARTED);
    const next = (await updating).machine?.instanceId;
    const entries = (await host.store.outbox(0, 1_000)).filter(({ machine }) => machine.id === id);
    const whole = entries.filter(({ isWhole }) => isWhole).map(({ machine }) => machine.spec.instanceId);
    expect(whole).toEqual([instanceId, next]);
    const versions = entries.map(({ machine }) => machine.spec.instanceId);
    expect(versions).toEqual([...versions].sort());
  });
});

test("a host that closes during an update leaves the rest of it to the next one", async () => {
  const folder = hostFolder();
  const before = await startHost({ dir: folder.path });
  const { id } = await before.created();
  await before.start(id);
  const updating = before.update(id, { exec: ["sim-hang"] });
  updating.catch(() => {});
  await expect.poll(async () => (await before.get(id)).state).toBe(MachineState.STARTING);
  await before.close(true);

  const after = await startHost({ dir: folder.path, settings: { startTimeoutMs: 200 } });

  await expect.poll(async () => (await after.get(id)).state).toBe(MachineState.FAILED);
  expect((await after.get(id)).events[0]).toMatchObject({ reason: "START_TIMEOUT" });
  await after.close();
  folder.remove();
});
