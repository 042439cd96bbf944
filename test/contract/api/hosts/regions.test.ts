import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { call } from "../../../../src/lib/grpc/client.ts";

import { faultOf } from "../../../support/fault-of.ts";
import { FakeHost } from "../fakes/fake-host.ts";
import { FakeScheduler } from "../fakes/fake-scheduler.ts";
import { NOTHING_LEFT, type TestApi, verifier, World } from "../fixture.ts";

let world: World;
/** The world's own scheduler is the one of ord, this one that of gru; each has hosts of its own. */
let gru: FakeScheduler;
let gruHost: FakeHost;
let api: TestApi;
let gruApi: TestApi;

beforeAll(async () => {
  world = await World.open(1);
  gru = new FakeScheduler(verifier);
  await gru.start();
  gruHost = new FakeHost({ number: 11, verifier });
  await gruHost.start();
  gru.hosts.push(gruHost);
  const schedulers = [
    { region: "ord", address: world.scheduler.address },
    { region: "gru", address: gru.address },
  ];
  api = await world.api({ schedulers });
  gruApi = await world.api({ schedulers, region: "gru", knowsHosts: false });
  await api.user.createApp("web");
});
beforeEach(async () => {
  gru.clear();
  gruHost.clear();
  await world.clear();
});
afterAll(async () => {
  await world.close();
  await gru.stop();
  await gruHost.stop();
});

const full = () => {
  throw new Fault("RESOURCE_EXHAUSTED", "NO_CAPACITY", "no host has room");
};
const regionOf = async (id: string | undefined) =>
  (await world.sql<{ region: string }>("select region from machines where id = $1", [id]))[0]?.region;

describe("a create", () => {
  test("goes to the scheduler of the region it names, whichever api is asked", async () => {
    const { machine } = await api.user.create({ region: "gru" });

    expect(machine?.region).toBe("gru");
    expect([...gruHost.machines.keys()]).toEqual([machine?.id]);
    expect(world.scheduler.calls).toEqual([]);
    expect(await regionOf(machine?.id)).toBe("gru");
    // The host has announced itself to nobody: the create itself has made it known.
    await api.user.start(machine?.id ?? "");
    expect(gruHost.calls).toContain("startMachine");
  });

  test("that names no region stays in that of the api", async () => {
    expect((await api.user.create()).machine?.region).toBe("ord");
    expect((await gruApi.user.create()).machine?.region).toBe("gru");
  });

  test("goes on to the next region when one has no room", async () => {
    const firstStored = Promise.withResolvers<unknown>();
    world.scheduler.before("reserve", () => {
      // A create that has ended no longer has its request.
      firstStored.resolve(world.sql("select request->'regions'->>0 as first from sagas"));
      full();
    });

    const { machine } = await api.user.create({ region: "any" });

    expect(machine?.region).toBe("gru");
    expect(await regionOf(machine?.id)).toBe("gru");
    expect(gru.calls).toEqual(["reserve", "release"]);
    expect(await firstStored.promise).toEqual([{ first: "ord" }]);
  });

  test("goes on to the next region when nobody in one takes the machine", async () => {
    const refuse = () => {
      throw new Fault("RESOURCE_EXHAUSTED", "DISK_FULL", "no disk");
    };
    world.host(1).before("createMachine", refuse, 3);

    const { machine } = await api.user.create({ region: "ord,gru" });

    expect(machine?.region).toBe("gru");
    expect(world.host(1).machines.size).toBe(0);
  });

  test("says of each region why it could not be there, and leaves nothing", async () => {
    world.scheduler.before("reserve", full);
    gru.before("reserve", () => {
      throw new Fault("UNAVAILABLE", "NO_HOSTS", "no host is attached");
    });

    const fault = await faultOf(api.user.create({ region: "gru,ord" }));

    expect(fault).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "NO_CAPACITY",
      facts: { regions: "gru,ord", reason_gru: "NO_HOSTS", reason_ord: "NO_CAPACITY" },
    });
    expect(fault.message).toContain("gru: no host is attached; ord: no host has room");
    expect(await world.leftovers()).toEqual(NOTHING_LEFT);
  });

  test("that may be repeated is the same create at another api, where its region means another", async () => {
    const request = { region: "", requestId: randomUUID() };

    const first = await api.user.create(request);
    const second = await gruApi.user.create(request);

    expect(second).toMatchObject({ repeated: true, machine: { id: first.machine?.id, region: "ord" } });
  });

  test("names the regions there are when it asks for another", async () => {
    const fault = await faultOf(api.user.create({ region: "ord,ams" }));

    expect(fault).toMatchObject({ reason: "REGION_UNKNOWN", facts: { known: "gru,ord" } });
  });
});

describe("a scheduler with two replicas", () => {
  let other: FakeScheduler;
  let replicated: TestApi;

  beforeAll(async () => {
    // They share their reservations, as replicas do by Redis.
    other = new FakeScheduler(verifier, world.scheduler.reservations);
    other.hosts.push(...world.scheduler.hosts);
    await other.start();
    replicated = await world.api({
      schedulers: [world.scheduler, other].map(({ address }) => ({ region: "ord", address })),
    });
  });
  afterEach(() => other.clear());
  afterAll(() => other.stop());

  test("loses one in the middle of a Reserve, and the create has its machine", async () => {
    const replicas = [world.scheduler, other];
    let dead: FakeScheduler | undefined;
    for (const replica of replicas) {
      // Whichever is asked first.
      replica.before("reserve", async () => {
        if (dead) return;
        dead = replica;
        await replica.stop();
      });
    }

    const { machine } = await replicated.user.create();

    expect(machine?.region).toBe("ord");
    expect(dead?.calls).toEqual(["reserve"]);
    const left = replicas.find((replica) => replica !== dead);
    // All that follows goes there at once.
    expect(left?.calls).toEqual(["reserve", "release"]);
    await dead?.start();
    // The other tests ask it again.
    for (const { reservations } of [api.admin, gruApi.admin]) {
      const request = { region: "ord", pageSize: 0, pageToken: "" };
      const list = () => call(reservations, reservations.listReservations, request, { timeoutMs: 20_000 });
      await expect.poll(list).toBeDefined();
    }
  });

  test("is unavailable when both are, and says so within the create's time", async () => {
    for (const each of [world.scheduler, other]) {
      each.before("reserve", () => {
        throw new Fault("UNAVAILABLE", "SERVER_DRAINING", "draining");
      });
    }

    const fault = await faultOf(replicated.user.create());

    expect(fault).toMatchObject({
      reason: "SCHEDULER_UNAVAILABLE",
      facts: { region: "ord", why: expect.any(String) },
    });
    expect(await world.leftovers()).toEqual(NOTHING_LEFT);
  });
});
