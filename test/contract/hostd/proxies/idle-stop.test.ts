import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { StopMachineRequest, SuspendMachineRequest } from "../../../../src/gen/windhover/hostd/v1/hostd.ts";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { machineId } from "../../../../src/hostd/machines/machine.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { durationToProto } from "../../../../src/lib/grpc/messages/duration.ts";
import { hostFolder, startHost, type TestHost } from "../fixture.ts";
import { clock, LOST_USE_MS, SCOPE, startProxiedHost, useProxies } from "./proxied-host.ts";

const { STARTED, STOPPED, SUSPENDED } = MachineState;

let host: TestHost;
beforeAll(async () => {
  host = await startProxiedHost();
});
afterAll(() => host.close());
const { attach, started, use, stopIdle, startFromProxy } = useProxies(() => host);

const inUse = { code: "FAILED_PRECONDITION", reason: "MACHINE_IN_USE" };

describe("a stop for being idle", () => {
  test("stops a machine that has been unused for long enough, as the proxy's event", async () => {
    const id = await started();
    await expect(stopIdle(id, 60_000)).rejects.toMatchObject(inUse);
    clock.aheadMs += 60_000;

    const { machine } = await stopIdle(id, 60_000);

    expect(machine?.state).toBe(STOPPED);
    expect(machine?.events.find(({ type }) => type === "stop")?.source).toBe("proxy");
    expect((await stopIdle(id)).alreadyStopped).toBe(true);
  });

  test("is refused while any proxy uses the machine, and the idle time begins when the last has", async () => {
    const id = await started();
    const [one, two] = [attach("p-1"), attach("p-2")];
    await use(one, id);
    await use(two, id);
    clock.aheadMs += 600_000;
    await expect(stopIdle(id)).rejects.toMatchObject(inUse);
    await one.say({ released: [{ machineId: id, unusedFor: durationToProto(500_000) }] });
    await expect(stopIdle(id)).rejects.toMatchObject({ ...inUse, retryAfterMs: 1_000 });

    await two.say({ released: [{ machineId: id, unusedFor: durationToProto(20_000) }] });

    await expect.poll(() => stopIdle(id, 60_000).catch((err) => err.retryAfterMs)).toBeGreaterThan(30_000);
    clock.aheadMs += 40_000;
    expect((await stopIdle(id, 60_000)).machine?.state).toBe(STOPPED);
  });

  test("may be a suspend, with the same conditions", async () => {
    const id = await started();
    const proxy = attach();
    await use(proxy, id);
    const request = { machineId: id, ifUnusedFor: durationToProto(0), source: "proxy" };
    const suspend = () =>
      call(host.client, host.client.suspendMachine, SuspendMachineRequest.create(request), SCOPE);
    await expect(suspend()).rejects.toMatchObject(inUse);
    await proxy.say({ watchIds: [id], released: [{ machineId: id, unusedFor: undefined }] });

    await expect.poll(() => suspend().catch((err) => err)).toMatchObject({ machine: { state: SUSPENDED } });

    await expect.poll(() => proxy.machines.get(id)).toMatchObject({ state: SUSPENDED, ready: false });
    await startFromProxy(id);
    await expect.poll(() => proxy.machines.get(id)).toMatchObject({ state: STARTED, ready: true });
  });

  test("is refused for a while after a proxy that uses the machine is lost", async () => {
    const id = await started();
    const proxy = attach();
    await use(proxy, id);
    proxy.leave();
    await expect.poll(() => proxy.fault).not.toBeUndefined();
    await expect
      .poll(() => stopIdle(id).catch((err) => err.retryAfterMs))
      .toBeGreaterThan(LOST_USE_MS - 20_000);

    clock.aheadMs += LOST_USE_MS;

    expect((await stopIdle(id)).machine?.state).toBe(STOPPED);
  });

  test("is refused for a while by a new hostd, which knows no uses", async () => {
    const folder = hostFolder();
    const old = await startHost({ dir: folder.path, clock });
    const { id } = await old.created();
    await old.start(id);
    await old.close();
    const next = await startHost({ dir: folder.path, clock });

    await expect(stopIdle(id, 0, next)).rejects.toMatchObject(inUse);
    clock.aheadMs += LOST_USE_MS;
    expect((await stopIdle(id, 0, next)).machine?.state).toBe(STOPPED);

    await next.close();
    folder.remove();
  });

  test("is refused while the program is busy, at most for the ceiling", async () => {
    const id = await started();
    await host.machines.setBusy(machineId(id), clock.now() + 100 * 60_000);
    expect((await host.get(id)).busyUntilTime?.getTime()).toBeLessThanOrEqual(clock.now() + 60 * 60_000);
    await expect(stopIdle(id)).rejects.toMatchObject({ ...inUse, message: expect.stringContaining("busy") });

    clock.aheadMs += 60 * 60_000;

    expect((await stopIdle(id)).machine?.state).toBe(STOPPED);
  });

  test("is refused for a machine that somebody holds the lease of", async () => {
    const id = await started();
    await host.acquire(id);
    await expect(stopIdle(id)).rejects.toMatchObject({ code: "ABORTED", reason: "LEASE_HELD" });
  });

  test("that is refused after all does not refuse a stop without a condition that has joined it", async () => {
    const id = machineId(await started());
    const idle = host.machines.stopIdle(id, "", {}, 0).catch((err: unknown) => err);
    // After it was accepted, and before its intent is made.
    host.host.proxies.uses.stream("p-late").use(id);
    const plain = host.machines.stop(id, "", {});

    expect(await idle).toMatchObject(inUse);
    expect((await plain).machine.state).toBe("stopped");
  });

  test("is refused for a machine that is not started, and tells who may not ask", async () => {
    const { id } = await host.created();
    await expect(stopIdle(id)).rejects.toMatchObject({ reason: "INVALID_STATE" });
    const request = StopMachineRequest.create({ machineId: id, source: "hostd" });
    await expect(call(host.client, host.client.stopMachine, request, SCOPE)).rejects.toMatchObject({
      reason: "INVALID_FIELDS",
    });
  });

  test("is decided in one step with the uses, whichever of them comes first", async () => {
    const proxy = attach();
    for (let round = 0; round < 20; round += 1) {
      const id = await started();
      const wait = new Promise((resolve) => setImmediate(resolve));
      const stopped = stopIdle(id).then(
        () => true,
        () => false,
      );
      if (round % 2 === 0) await wait;
      await proxy.say({ useIds: [id] });
      await expect.poll(() => proxy.used.has(id)).toBe(true);
      const toldAtUse = proxy.machines.get(id)?.state;

      expect({ toldAtUse, stopped: await stopped }).toEqual(
        toldAtUse === STARTED ? { toldAtUse, stopped: false } : { toldAtUse, stopped: true },
      );
      await host.destroyLeased(id);
    }
  });

  test("that cannot be stored leaves the machine to the proxies", async () => {
    const id = await started();
    const proxy = attach();
    await proxy.say({ watchIds: [id] });
    await expect.poll(() => proxy.machines.get(id)?.ready).toBe(true);
    const { intend } = host.store;
    host.store.intend = () => Promise.reject(new Error("no room"));

    await expect(stopIdle(id)).rejects.toMatchObject({ code: "INTERNAL" });

    host.store.intend = intend;
    await expect.poll(() => proxy.machines.get(id)).toMatchObject({ state: STARTED, ready: true });
    expect((await stopIdle(id)).machine?.state).toBe(STOPPED);
  });
});
