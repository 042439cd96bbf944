import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MachineState, Placement } from "../../src/gen/windhover/machines/v1/machine.ts";
import { Scheduling } from "../../src/gen/windhover/scheduler/v1/host.ts";
import type { Fault } from "../../src/lib/faults/fault.ts";
import { openStream } from "../../src/lib/grpc/calls/streams.ts";
import { call } from "../../src/lib/grpc/client.ts";
import { configOf, type Machine } from "../support/clients.ts";
import { openWorld, type World } from "./world/world.ts";

const SOON = { timeout: 60_000, interval: 50 };
const LIMIT = { timeoutMs: 30_000 };

describe("operators", () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld(2, { HOSTD_LABELS: "disk=nvme" });
  });
  afterAll(() => world?.close());

  it("cordon a host: machines go elsewhere, those it has start as ever, and hostd's own end changes nothing", async () => {
    const here = await createdOn(1);
    await set(1, Scheduling.CORDONED);
    await expect.poll(() => scheduling(1), SOON).toBe(Scheduling.CORDONED);

    const others = await Promise.all([1, 2, 3, 4].map(() => create()));
    expect(others.map(hostOf)).toEqual([2, 2, 2, 2]);
    expect((await world.clients.start(here.id)).machine?.state).toBe(MachineState.STARTED);
    await expect(create({ hostNumber: 1 })).rejects.toMatchObject({ reason: "NO_CAPACITY" });

    await world.fleet.crash("hostd-1");
    await expect.poll(() => scheduling(1), SOON).toBe(Scheduling.CORDONED);

    await set(1, Scheduling.OPEN);
    await expect.poll(() => scheduling(1), SOON).toBe(Scheduling.OPEN);
    expect(hostOf(await create({ hostNumber: 1 }))).toBe(1);
    await world.clients.stop(here.id);
  });

  it("drain a host: what runs is stopped, nothing starts, and opened again all is as before", async () => {
    const running = await Promise.all([createdOn(2), createdOn(2), createdOn(2)]);
    for (const { id } of running) await world.clients.start(id);

    const told = await drain(2);

    expect(told.filter((one) => one.machineId !== "").every((one) => one.problem === "")).toBe(true);
    for (const { id } of running) {
      expect((await world.clients.get(id)).state).toBe(MachineState.STOPPED);
      await expect(world.clients.start(id)).rejects.toMatchObject({ reason: "HOST_DRAINING" });
    }
    await expect.poll(() => scheduling(2), SOON).toBe(Scheduling.DRAINING);
    expect((await drain(2)).at(-1)).toMatchObject({ total: 0 });

    await set(2, Scheduling.OPEN);
    await expect.poll(() => scheduling(2), SOON).toBe(Scheduling.OPEN);
    expect((await world.clients.start(running[0]?.id ?? "")).machine?.state).toBe(MachineState.STARTED);
  });

  it("give hosts labels, and keep machines of an app apart", async () => {
    expect(hostOf(await create({ hostLabels: new Map([["disk", "nvme"]]) }))).toBeGreaterThan(0);
    await expect(create({ hostLabels: new Map([["disk", "tape"]]) })).rejects.toMatchObject({
      reason: "NO_CAPACITY",
      message: expect.stringContaining("disk=tape"),
    });

    await world.clients.createApp("apart");
    const apart = () => create({ distinctHosts: true }, "apart");
    const pair = await Promise.all([apart(), apart()]);
    expect(pair.map(hostOf).toSorted()).toEqual([1, 2]);
    await expect(apart()).rejects.toMatchObject({ reason: "NO_CAPACITY" });
  });

  function create(placement: Partial<Placement> = {}, app = world.app): Promise<Machine> {
    const config = configOf(world.image);
    return world.clients.create({
      ...{ app, skipLaunch: true, config },
      placement: Placement.fromPartial(placement),
    });
  }

  function createdOn(hostNumber: number): Promise<Machine> {
    return create({ hostNumber });
  }

  async function set(host: number, scheduling: Scheduling): Promise<void> {
    const { hosts } = world.clients.raw;
    const set = () => call(hosts, hosts.setHostScheduling, { host: String(host), scheduling }, LIMIT);
    // Right after hostd's end the api may find its connection gone, and says so; asking again is harmless.
    await expect
      .poll(
        () =>
          set().then(
            () => "said",
            (err: Fault) => err.reason,
          ),
        SOON,
      )
      .toBe("said");
  }

  async function drain(host: number) {
    const { hosts } = world.clients.raw;
    const told = [];
    for await (const one of openStream(hosts, hosts.drainHost, { host: String(host) }, LIMIT)) told.push(one);
    return told;
  }

  async function scheduling(number: number): Promise<Scheduling | undefined> {
    return (await world.clients.hosts()).find((host) => host.number === number && host.attached)?.scheduling;
  }
});

function hostOf({ id }: Machine): number {
  return Number.parseInt(id.slice(0, 5), 16);
}
