import { afterEach, describe, expect, test } from "vitest";
import { MachineState } from "../../../src/gen/windhover/machines/v1/machine.ts";
import { ImageCacheClient, type PullStep } from "../../../src/hostd/images/imagecache-client.ts";
import { call } from "../../../src/lib/grpc/client.ts";
import { startHost, type TestHost, type TestHostOptions, token } from "./fixture.ts";
import { serveImages } from "./neighbours.ts";
import { createRequest, DIGEST } from "./requests.ts";

const NOTHING = { cpus: 0, memoryMb: 0, diskMb: 0 };
const hosts: TestHost[] = [];

afterEach(async () => {
  for (const host of hosts.splice(0)) await host.close();
});

async function open(options: TestHostOptions): Promise<TestHost> {
  const host = await startHost(options);
  hosts.push(host);
  return host;
}

describe("a full disk", () => {
  /** Creates machines until the disk is full. Returns the last error. */
  async function fill(host: TestHost): Promise<unknown> {
    for (let i = 0; i < 500; i += 1) {
      try {
        const env = new Map([["FILL", "x".repeat(30_000)]]);
        const hold = host.hold(256);
        await call(host.client, host.client.createMachine, createRequest(hold, { config: { env } }), {
          timeoutMs: 20_000,
        });
      } catch (err) {
        return err;
      }
    }
    return undefined;
  }

  test("refuses creates and starts with DISK_FULL, which change nothing", async () => {
    const host = await open({
      maxPages: 60,
      settings: { capacity: { cpus: 99, memoryMb: 99_999, diskMb: 99_999 } },
    });
    const { id } = await host.created();
    expect(await fill(host)).toMatchObject({ code: "RESOURCE_EXHAUSTED", reason: "DISK_FULL" });
    const machines = host.machines.list().length;

    let was = await host.get(id);
    let reason = "";
    // Small changes still fit for a while.
    for (let i = 0; i < 200 && reason === ""; i += 1) {
      was = await host.get(id);
      const isRunning = was.state === MachineState.STARTED;
      await (isRunning ? host.stop(id) : host.start(id)).catch((err) => {
        reason = err.reason;
      });
    }

    expect(reason).toBe("DISK_FULL");
    expect(await host.get(id)).toEqual(was);
    expect(host.machines.list()).toHaveLength(machines);
    expect(host.host.ledger.sums().allocated.diskMb).toBe(1_024 * machines);
    // A VM whose exit cannot be stored is kept, and counted.
    await expect
      .poll(async () => {
        const vms = (await host.sim.list()).length;
        return host.host.ledger.sums().running.memoryMb - 256 * vms;
      })
      .toBe(0);
  });
});

describe("a start", () => {
  test("that takes too long is START_TIMEOUT, and leaves no VM and no memory allocated", async () => {
    const host = await open({ settings: { startTimeoutMs: 50 } });
    const { id } = await host.created({ exec: ["sim-hang"] });

    await expect(host.start(id)).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
      reason: "START_TIMEOUT",
    });

    expect(await host.get(id)).toMatchObject({
      state: MachineState.FAILED,
      events: [{ reason: "START_TIMEOUT" }, {}],
    });
    await host.host.teardowns.all();
    expect(await host.sim.list()).toEqual([]);
    expect(host.host.ledger.sums().running).toEqual(NOTHING);
  });

  test("ends even when the VMM ignores its abort", async () => {
    const host = await open({
      settings: { startTimeoutMs: 20 },
      vmm: (sim) => ({
        info: sim.info,
        launch: () => new Promise(() => {}),
        adopt: (...given) => sim.adopt(...given),
        destroy: (vmId) => sim.destroy(vmId),
        list: () => sim.list(),
        close: () => sim.close(),
      }),
    });
    const { id } = await host.created();

    await expect(host.start(id)).rejects.toMatchObject({ reason: "START_TIMEOUT" });

    expect((await host.get(id)).state).toBe(MachineState.FAILED);
  });

  test("too many at once is START_QUEUE_FULL with a time to retry, and the machine is unchanged", async () => {
    const host = await open({ settings: { startConcurrency: 1 } });
    const { id, generation } = await host.created();
    const signal = new AbortController().signal;
    for (let i = 0; i < 257; i += 1) void host.host.starts.enter("acme", signal);

    await expect(host.start(id)).rejects.toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "START_QUEUE_FULL",
      retryAfterMs: 1_000,
    });

    expect(await host.get(id)).toMatchObject({ state: MachineState.CREATED, generation });
    expect(host.host.ledger.sums().running).toEqual(NOTHING);
  });

  test("with a warm VM passes those that boot, and gives the VM up when it is cancelled", async () => {
    const reserved: string[] = [];
    const destroyed: string[] = [];
    const host = await open({
      settings: { startConcurrency: 4 },
      vmm: (sim) => ({
        info: sim.info,
        maxBoots: 1,
        reserveWarm: (vmId, { memoryMb }) => memoryMb === 512 && reserved.push(vmId) > 0,
        launch: (...given) => sim.launch(...given),
        adopt: (...given) => sim.adopt(...given),
        destroy: (vmId) => {
          destroyed.push(vmId);
          return sim.destroy(vmId);
        },
        list: () => sim.list(),
        close: () => sim.close(),
      }),
    });
    const boots = [await host.created({ exec: ["sim-hang"] }), await host.created()];
    const booting = boots.map(({ id }) => host.start(id).catch(() => undefined));
    await expect.poll(() => host.host.starts.length).toBe(1);

    const warm = await host.created({ memoryMb: 512 });
    expect((await host.start(warm.id)).machine?.state).toBe(MachineState.STARTED);
    expect(reserved).toEqual([expect.stringContaining(warm.id)]);

    const second = await host.created({ memoryMb: 512, exec: ["sim-hang"] });
    const starting = host.start(second.id);
    starting.catch(() => {});
    await expect.poll(() => reserved.length).toBe(2);
    await host.stop(second.id);
    await expect(starting).rejects.toMatchObject({ reason: "INVALID_STATE" });
    await host.host.teardowns.all();
    expect(destroyed).toContain(reserved[1]);

    await host.stop(boots[0]?.id ?? "");
    await Promise.all(booting);
    expect((await host.get(boots[1]?.id ?? "")).state).toBe(MachineState.STARTED);
  });

  test("thirty-two at once all succeed, with no more at a time than there are slots", async () => {
    let running = 0;
    let most = 0;
    const isFull = Promise.withResolvers<void>();
    const host = await open({
      latencyMs: 5,
      vmm: (sim) => ({
        info: sim.info,
        async launch(...given) {
          most = Math.max(most, ++running);
          // The first ones wait for each other, so that all slots are in use.
          if (running === 4) isFull.resolve();
          await isFull.promise;
          return sim.launch(...given).finally(() => running--);
        },
        adopt: (...given) => sim.adopt(...given),
        destroy: (vmId) => sim.destroy(vmId),
        list: () => sim.list(),
        close: () => sim.close(),
      }),
      settings: { startConcurrency: 4, capacity: { cpus: 64, memoryMb: 16_384, diskMb: 65_536 } },
    });
    const ids: string[] = [];
    for (let i = 0; i < 32; i += 1) ids.push((await host.created()).id);

    const started = await Promise.all(ids.map((id) => host.start(id)));

    expect(started.map(({ machine }) => machine?.state)).toEqual(ids.map(() => MachineState.STARTED));
    expect(most).toBe(4);
  });
});

describe("the image cache", () => {
  const FOR = { owner: "owner", org: "acme", credentials: undefined };
  const REF = { registry: "registry.test", repository: "nginx", tag: "", digest: DIGEST };

  test("that is not there is IMAGECACHE_UNAVAILABLE", async () => {
    const images = new ImageCacheClient("127.0.0.1:1", token);
    const ensure = images.ensure(REF, FOR, new AbortController().signal);

    await expect(ensure.next()).rejects.toMatchObject({
      code: "UNAVAILABLE",
      reason: "IMAGECACHE_UNAVAILABLE",
    });
    await expect(images.unpin({ digest: DIGEST, owner: "x" })).rejects.toMatchObject({
      reason: "IMAGECACHE_UNAVAILABLE",
    });
    images.close();
  });

  test("gets the pins of many machines in parts that fit into messages", async () => {
    const served = await serveImages();
    const images = new ImageCacheClient(served.address, token);
    const owners = Array.from({ length: 70_000 }, (_, i) => `00007${i.toString(16).padStart(9, "0")}`);
    await images.reconcilePins([{ digest: DIGEST, owner: "00007fffffffff", org: "" }]);

    await images.reconcilePins(owners.map((owner) => ({ digest: DIGEST, owner, org: "acme" })));

    expect(served.parts.length).toBeGreaterThan(2);
    expect([...served.pins].sort()).toEqual(owners);
    images.close();
    await served.close();
  });

  test("makes images local and pins them, and bids say so", async () => {
    const served = await serveImages();
    const images = new ImageCacheClient(served.address, token);
    expect(images.isLocal(DIGEST)).toBe(false);

    const steps: PullStep[] = [];
    for await (const step of images.ensure(REF, FOR, new AbortController().signal)) steps.push(step);

    expect(steps).toMatchObject([{ kind: "ready", wasLocal: true, image: { rootfs: "/images/x.squashfs" } }]);
    expect(images.isLocal(DIGEST)).toBe(true);
    expect(images.hints()).toEqual([Number.parseInt(DIGEST.slice(7, 15), 16)]);
    await images.unpin({ digest: DIGEST, owner: "owner" });
    await images.reconcilePins([{ digest: DIGEST, owner: "other", org: "" }]);
    expect([...served.pins]).toEqual(["other"]);
    await images.refresh();
    expect(images.isLocal(DIGEST)).toBe(false);
    expect(images.hints()).toEqual([]);
    images.close();
    await served.close();
  });
});
