import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { MachineState } from "../../../src/gen/windhover/machines/v1/machine.ts";
import { type Clients, clientsOf, configOf, type Machine } from "../../support/clients.ts";
import { startFleet, type TestFleet } from "../../support/fleet.ts";
import { buildImage, pushImage } from "../../support/oci/index.ts";

const APP = "world";
const RECOVERY = { timeout: 60_000, interval: 100 };
/** Room for two machines of 256 MB on the only host of a region. */
const SMALL = { HOSTD_MEMORY_MB: "512" };

/** Two regions, each with an api, two replicas of a scheduler, a Redis and a host; the central Postgres is in ord. */
describe("a world of two regions", () => {
  let fleet: TestFleet;
  let ord: Clients;
  let gru: Clients;
  let image: string;

  beforeAll(async () => {
    const shape = { regions: ["ord", "gru"], hosts: 1, schedulers: 2 };
    fleet = await startFleet({ ...shape, vmm: "sim", environment: SMALL });
    const [here, there] = fleet.regions.map((region) => clientsOf(region.api, fleet.token));
    if (!here || !there) throw new Error("there are not two regions");
    [ord, gru] = [here, there];
    image = `${fleet.registry}/world/sample:1`;
    const content = buildImage({
      layers: [[{ path: "sample", content: "sample" }]],
      config: { Cmd: ["sim-run"] },
    });
    await pushImage(`http://${fleet.registry}`, "world/sample", "1", content);
    await ord.createApp(APP);
  });
  afterEach(async () => {
    await fleet.awaitHosts();
    for (const { id } of await ord.list(APP)) await ord.destroy(id, true);
  });
  afterAll(async () => {
    ord?.close();
    gru?.close();
    await fleet?.close();
  });

  const create = (clients: Clients, region: string): Promise<Machine> =>
    clients.create({ app: APP, region, config: configOf(image), skipLaunch: true });

  it("has hosts with numbers of their own, and either api lists all of them by region", async () => {
    for (const clients of [ord, gru]) {
      const hosts = await clients.hosts();
      expect(hosts.map(({ number, region, attached }) => ({ number, region, attached }))).toEqual([
        { number: 1, region: "ord", attached: true },
        { number: 2, region: "gru", attached: true },
      ]);
    }
  });

  it("places a machine in another region, and either api starts it there", async () => {
    const machine = await create(ord, "gru");
    expect(machine).toMatchObject({ region: "gru", host: "gru-2", state: MachineState.CREATED });

    for (const clients of [ord, gru]) {
      expect((await clients.start(machine.id)).machine?.state).toBe(MachineState.STARTED);
      await clients.stop(machine.id);
    }
    await expect
      .poll(async () => (await gru.list(APP)).map(({ id, region }) => [id, region]), RECOVERY)
      .toEqual([[machine.id, "gru"]]);
  });

  it("means the region of the api that is asked when none is named", async () => {
    const machines = [await create(ord, ""), await create(gru, ""), await create(gru, "us")];

    expect(machines.map(({ region }) => region)).toEqual(["ord", "gru", "ord"]);
  });

  it("falls over to the next region of a list when one has no room, and says so when none has", async () => {
    // Disk is what a machine that is not started takes; memory is held for the auction only, so it is the machines that run that fill a host.
    const large = configOf(image, { guest: { cpuKind: "shared", cpus: 1, memoryMb: 512 } });
    const running = await ord.create({ app: APP, region: "gru", config: large });
    expect(running).toMatchObject({ region: "gru", state: MachineState.STARTED });

    const elsewhere = await create(ord, "gru,ord");
    expect(elsewhere.region).toBe("ord");
    await expect(create(ord, "gru")).rejects.toMatchObject({ reason: "NO_CAPACITY" });
  });

  it("makes machines with one replica of a scheduler gone, at every create", async () => {
    await fleet.kill("scheduler-gru");

    const machines = [await create(ord, "gru"), await create(gru, ""), await create(gru, "gru")];

    expect(machines.map(({ region }) => region)).toEqual(["gru", "gru", "gru"]);
    await fleet.start("scheduler-gru");
  });

  it("starts what it has, and places elsewhere, with a region's schedulers and Redis gone", async () => {
    const machine = await create(ord, "gru");
    expect(machine.region).toBe("gru");
    const gone = ["scheduler-gru", "scheduler-gru-2", "redis-gru"];
    await fleet.kill(...gone);

    for (const clients of [ord, gru]) {
      expect((await clients.start(machine.id)).machine?.state).toBe(MachineState.STARTED);
      await clients.stop(machine.id);
    }
    const elsewhere = await create(ord, "gru,ord");
    expect(elsewhere.region).toBe("ord");
    await expect(create(gru, "")).rejects.toMatchObject({
      reason: "SCHEDULER_UNAVAILABLE",
      facts: { region: "gru" },
    });

    await fleet.start(...gone.toReversed());
    await expect.poll(() => create(ord, "gru").then(({ region }) => region, String), RECOVERY).toBe("gru");
  });
});
