import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { machineId } from "../../../../src/hostd/machines/machine.ts";
import { sweep } from "../../../../src/hostd/operations/reconcile.ts";
import { FakeImages, hostFolder, startHost, type TestHost } from "../fixture.ts";
import { deathsOf, expectRightness, liveUntil, stepsOf } from "./crash.ts";
import { Death } from "./death.ts";

let folder: ReturnType<typeof hostFolder>;
beforeEach(() => {
  folder = hostFolder();
});
afterEach(() => folder.remove());

/** Takes machines through all states. */
async function life(host: TestHost): Promise<void> {
  const { id } = await host.created({ exec: ["sim-exit", "5", "sim-run-for", "30"], keepForLaunch: true });
  await host.start(id, { watchMs: 0 });
  await expect
    .poll(async () => (await host.get(id)).state, { interval: 2, timeout: 20_000 })
    .toBe(MachineState.STOPPED);
  await host.start(id, { watchMs: 0 });
  await host.stop(id);
  await host.host.teardowns.all();
  const failing = await host.created({ exec: ["sim-exec-fail", "not_found"] });
  await host.start(failing.id).catch(() => {});
  await host.destroy(failing.id);
  const running = await host.created({ exec: ["/bin/server"] });
  await host.start(running.id);
  await host.destroy(running.id, { force: true });
}

describe("a host killed at any step", () => {
  test("recovers: no VM is missing or left over, and every machine can be started, stopped and destroyed", async () => {
    const steps = await stepsOf(life);
    expect(steps.length).toBeGreaterThan(50);

    for (const at of deathsOf(steps)) {
      const dir = join(folder.path, String(at));
      mkdirSync(dir);
      const images = new FakeImages();
      await liveUntil(new Death(at), { dir, images }, life);

      const after = await startHost({ dir, images });
      try {
        await expect
          .poll(() =>
            after.machines.list().every(({ id }) => after.machines.driver(id).activity === undefined),
          )
          .toBe(true);
        await expectRightness(after);
        for (const { id } of after.machines.list()) {
          const { state } = await after.get(id);
          if (state === MachineState.DESTROYED) continue;
          if (state === MachineState.CREATING) await after.prepare(id);
          if (state === MachineState.STARTED) await after.stop(id);
          await after
            .start(id, { watchMs: 0 })
            .catch((err: { reason: string }) => expect(err.reason).toBe("EXEC_FAILED"));
          await after.destroy(id, { force: true });
        }
        await expectRightness(after);
      } catch (cause) {
        throw new Error(`killed at step ${at}, "${steps[at]}", after "${steps[at - 1]}"`, { cause });
      } finally {
        await after.close();
      }
    }
  }, 240_000);
});

describe("a restart", () => {
  test("takes over running machines with their logs and addresses", async () => {
    const dir = folder.path;
    const services = [{ protocol: "tcp", internalPort: 80 }];
    const before = await startHost({ dir });
    const { id } = await before.created({
      exec: ["/bin/server"],
      config: { services, init: { exec: ["sim-log", "2"] } },
    });
    await before.start(id);
    const was = await before.get(id);
    await before.close(true);

    const after = await startHost({ dir });

    expect(await after.get(id)).toEqual(was);
    expect(await after.sim.list()).toHaveLength(1);
    const { machine } = await after.stop(id);
    expect(machine?.events[0]?.exit).toMatchObject({ signal: "SIGTERM", requestedStop: true });
    await after.close();
  });

  test("notices an exit while hostd was down, with its code and its time", async () => {
    const dir = folder.path;
    const before = await startHost({ dir });
    const { id } = await before.created({ exec: ["sim-exit", "9", "sim-run-for", "4000"] });
    await before.start(id, { watchMs: 0 });
    const startedAt = (await before.get(id)).updateTime?.getTime() ?? 0;
    await before.close(true);
    expect(before.machines.list()).toMatchObject([{ state: "started" }]);
    await expect.poll(() => Date.now()).toBeGreaterThan(startedAt + 4_500);

    const after = await startHost({ dir });
    await expect.poll(async () => (await after.get(id)).state).toBe(MachineState.STOPPED);

    const exit = (await after.get(id)).events[0]?.exit;
    expect(exit).toMatchObject({ exitCode: 9, requestedStop: false });
    // Counted from the moment it ran, which was before that was stored.
    expect(exit?.exitTime?.getTime()).toBeGreaterThan(startedAt);
    expect(exit?.exitTime?.getTime()).toBeLessThanOrEqual(startedAt + 4_000);
    await after.close();
  });

  test("notices a VM that vanished while hostd was down", async () => {
    const dir = folder.path;
    const before = await startHost({ dir });
    const { id } = await before.created();
    await before.start(id);
    await before.close(true);
    for (const vmId of await before.sim.list()) await before.sim.destroy(vmId);

    const after = await startHost({ dir });

    const machine = await after.get(id);
    expect(machine).toMatchObject({
      state: MachineState.STOPPED,
      events: [{ type: "exit", reason: "VM_LOST" }, {}, {}],
    });
    expect(machine.events[0]?.exit?.exitCode).toBeUndefined();
    await after.close();
  });

  test("destroys VMs and removes logs of no machine", async () => {
    const host = await startHost({ dir: folder.path });
    const work = {
      machineId: "x",
      rootfs: "/x",
      argv: ["x"],
      env: {},
      user: "",
      workingDir: "/",
      hostname: "x",
      ports: [],
      watchMs: 0,
    };
    const shape = { cpus: 1, memoryMb: 1 };
    const request = { vmId: "00007fffffffff-leftover", shape, workload: work, sink: { onLog() {} } };
    await host.sim.launch(request, new AbortController().signal);
    await host.logs
      .sink({ id: "00007fffffffff", org: "acme" })
      .onLog({ timeUs: 1, stream: "stdout", text: "x" });
    await host.logs.flush();

    await sweep(host.host, host.machines);

    expect(await host.sim.list()).toEqual([]);
    expect(await host.logs.owners()).toEqual([]);
    await host.close();
  });

  test("resumes a stop with its signal and its grace", async () => {
    const dir = folder.path;
    const death = new Death(Number.POSITIVE_INFINITY);
    const before = await startHost({
      dir,
      vmm: (vmm) => death.vmm(vmm),
      store: (store) => death.store(store),
    });
    const { id } = await before.created({ exec: ["sim-signal-ignore"] });
    await before.start(id);
    before.stop(id, { timeoutMs: 5_000 }).catch(() => {});
    await expect.poll(async () => (await before.get(id)).state).toBe(MachineState.STOPPING);
    death.kill();
    before.client.close();
    await before.sim.close();
    await before.store.close();

    const after = await startHost({ dir });
    expect((await after.get(id)).state).toBe(MachineState.STOPPING);

    await expect.poll(async () => (await after.get(id)).state).toBe(MachineState.STOPPED);
    expect((await after.get(id)).events[0]?.exit).toMatchObject({ signal: "SIGKILL", requestedStop: true });
    await after.close();
  });

  test("removes a machine whose create is abandoned", async () => {
    const host = await startHost({ dir: folder.path, limits: { abandonedCreateMs: 0 } });
    const { id } = await host.create();
    await expect.poll(() => Date.now()).toBeGreaterThan(host.machines.list()[0]?.updatedAtMs ?? 0);

    await sweep(host.host, host.machines);

    expect(await host.get(id)).toMatchObject({
      state: MachineState.DESTROYED,
      events: [{ source: "hostd" }, {}],
    });
    await host.close();
  });

  test("serves although guests do not answer: their machines can be stopped, and are taken over later", async () => {
    const dir = folder.path;
    const before = await startHost({ dir });
    const [first, second] = [await before.created(), await before.created()];
    await before.start(first.id);
    await before.start(second.id);
    await before.close(true);
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>();

    const after = await startHost({
      dir,
      limits: { takeOverMs: 1 },
      vmm: (sim) => {
        const adopt = sim.adopt.bind(sim);
        sim.adopt = async (vmId, sink) => {
          const vm = await adopt(vmId, sink);
          await answered;
          return vm;
        };
        return sim;
      },
    });
    const { machine } = await after.stop(second.id);
    await sweep(after.host, after.machines);
    answer();

    expect(machine).toMatchObject({
      state: MachineState.STOPPED,
      events: [{ reason: "VM_LOST" }, {}, {}, {}],
    });
    const vmOf = ({ id }: { id: string }) => after.machines.driver(machineId(id)).runtime.vm;
    await expect.poll(() => vmOf(first)).toBeDefined();
    expect((await after.stop(first.id)).machine?.events[0]?.exit).toMatchObject({ signal: "SIGTERM" });
    expect(vmOf(second)).toBeUndefined();
    await after.close();
  });

  test("the sweep retries to take over a VM, and the machine can be stopped meanwhile", async () => {
    const dir = folder.path;
    const before = await startHost({ dir });
    const [first, second] = [await before.created(), await before.created()];
    await before.start(first.id);
    await before.start(second.id);
    await before.close(true);
    const after = await startHost({
      dir,
      vmm: (sim) => {
        sim.failNext("adopt", 2);
        return sim;
      },
    });

    expect((await after.get(first.id)).state).toBe(MachineState.STARTED);
    const { machine } = await after.stop(second.id);
    expect(machine).toMatchObject({
      state: MachineState.STOPPED,
      events: [{ reason: "VM_LOST" }, {}, {}, {}],
    });
    await sweep(after.host, after.machines);

    expect((await after.stop(first.id)).machine?.events[0]?.exit).toMatchObject({ signal: "SIGTERM" });
    await after.close();
  });
});
