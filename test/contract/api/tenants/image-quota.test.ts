import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { HostEvent } from "../../../../src/gen/windhover/admin/v1/hosts.ts";
import { Standing } from "../../../../src/gen/windhover/admin/v1/organizations.ts";
import { type Machine, MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { ListMachinesRequest } from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { call } from "../../../../src/lib/grpc/client.ts";

import { faultOf } from "../../../support/fault-of.ts";
import { DIGEST, type TestApi, World } from "../fixture.ts";

const LIMIT = { timeoutMs: 20_000 };
const MIB = 1_048_576n;
const OTHER_DIGEST = `sha256:${"cd".repeat(32)}`;

let world: World;
let api: TestApi;

beforeAll(async () => {
  world = await World.open();
  api = await world.api();
  await api.user.createApp("web");
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.clear();
  world.images.digest = DIGEST;
  await setQuota(1_048_576n);
});

describe("the images of an organisation's machines", () => {
  test("count with the size that hosts report, each image once for each host", async () => {
    await create({ imageBytes: 3n * MIB });
    await create({ imageBytes: 3n * MIB });
    const afterTwo = await used();
    await create({ imageBytes: 5n * MIB, digest: OTHER_DIGEST });
    const afterOther = await used();
    await create({ imageBytes: 3n * MIB, onHost2: true });

    expect([afterTwo, afterOther, await used()]).toEqual([3n, 8n, 11n]);
    expect((await organization()).machinesUsed).toBe(4);
  });

  test("are free again with the last machine that uses them", async () => {
    const machines = [await create({ imageBytes: 3n * MIB }), await create({ imageBytes: 3n * MIB })];

    await destroyed(machines[0]);
    const afterOne = await used();
    await destroyed(machines[1]);

    expect([afterOne, await used()]).toEqual([3n, 0n]);
  });

  test("are shown with each machine, also from the database", async () => {
    const { id } = await create({ imageBytes: 12_345n });

    const rows = await world.sql("select image_digest, image_bytes from machines");
    const list = ListMachinesRequest.fromPartial({ app: "web" });
    const { machines } = await call(api.user.machines, api.user.machines.listMachines, list, LIMIT);

    expect(rows).toEqual([{ image_digest: DIGEST, image_bytes: "12345" }]);
    expect(machines.map((machine) => [machine.id, machine.imageBytes])).toEqual([[id, 12_345n]]);
  });

  test("that a host cannot have, below nothing or beyond what a number holds, count as the nearest that it can", async () => {
    await create({ imageBytes: -5n });
    await create({ imageBytes: 2n ** 63n - 1n, digest: OTHER_DIGEST });

    const rows = await world.sql("select image_bytes from machines order by image_bytes");
    expect(rows.map((row) => row["image_bytes"])).toEqual(["0", String(Number.MAX_SAFE_INTEGER)]);
  });

  test("count with a machine of an earlier version as nothing", async () => {
    await create({ imageBytes: 3n * MIB });
    await world.sql("update machines set snapshot = snapshot - 'imageBytes'");

    expect(await used()).toBe(0n);
  });
});

describe("the quota of images", () => {
  test("refuses creates once it is used up, and nothing is asked or left; the one that exceeded it goes on", async () => {
    await setQuota(4n);
    await create({ imageBytes: 3n * MIB });
    const last = await create({ imageBytes: 3n * MIB, digest: OTHER_DIGEST });
    const asked = world.images.asked;

    const fault = await faultOf(api.user.create());

    expect(fault).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "QUOTA_IMAGES",
      facts: { org: "personal", used: "6", limit: "4" },
    });
    expect(fault.message).toContain("image_mb");
    expect([world.images.asked, world.onHosts.length]).toEqual([asked, 2]);
    expect((await api.user.start(last.id)).machine?.state).toBe(MachineState.STARTED);
  });

  test("lets creates through again when it is raised, and when machines are destroyed", async () => {
    await setQuota(4n);
    const machine = await create({ imageBytes: 4n * MIB });
    await faultOf(api.user.create());

    await setQuota(5n);
    await create({ imageBytes: 4n * MIB });
    await setQuota(4n);
    expect(await faultOf(api.user.create())).toMatchObject({ reason: "QUOTA_IMAGES" });
    for (const each of world.onHosts) await destroyed(each);

    expect(await create({ imageBytes: 1n })).toMatchObject({ app: machine.app });
  });

  test("stays when a client that does not know it sets the others", async () => {
    await setQuota(7n);
    const { orgs } = api.admin;
    const quota = { machines: 50, memoryMb: 9_000n, imageMb: undefined };
    const request = { slug: "personal", standing: Standing.UNSPECIFIED, quota, limits: undefined };

    const { organization: changed } = await call(orgs, orgs.updateOrganization, request, LIMIT);

    expect(changed?.quota).toEqual({ machines: 50, memoryMb: 9_000n, imageMb: 7n });
  });

  test("is of one organisation alone", async () => {
    await setQuota(3n);
    await create({ imageBytes: 3n * MIB });
    const { orgs } = api.admin;
    await call(orgs, orgs.createOrganization, { slug: "beside", name: "", quota: undefined }, LIMIT);
    const beside = await api.as("beside", ["machines:read", "machines:write"]);
    await beside.createApp("beside");

    const { machine } = await beside.create({ app: "beside" });

    expect(machine?.org).toBe("beside");
    beside.close();
  });
});

async function create(image: { imageBytes: bigint; digest?: string; onHost2?: boolean }): Promise<Machine> {
  world.images.digest = image.digest ?? DIGEST;
  for (const number of [1, 2]) world.host(number).imageBytes = image.imageBytes;
  if (image.onHost2) {
    world.host(1).before("createMachine", () => {
      throw new Fault("FAILED_PRECONDITION", "HOST_DRAINING", "an operator drains the host");
    });
  }
  const { machine } = await api.user.create();
  if (!machine) throw new Error("no machine");
  return machine;
}

/** Destroys a machine, and reports it as its host does. */
async function destroyed(machine: Machine | undefined): Promise<void> {
  if (!machine) throw new Error("no machine");
  const request = { machineId: machine.id, force: true, leaseNonce: "" };
  const gone = await call(api.user.machines, api.user.machines.destroyMachine, request, LIMIT);
  const host = world.scheduler.hosts.find(({ name }) => name === machine.host);
  if (!host || !gone.machine) throw new Error("no host or no machine");
  host.outboxSequence += 1n;
  const { id, state, generation, updateTime } = gone.machine;
  const status = { id, state, generation, updateTime };
  const { reports } = api.internal;
  const events = [HostEvent.fromPartial({ sequence: host.outboxSequence, status })];
  await call(
    reports,
    reports.reportEvents,
    { hostNumber: host.number, identity: host.identity, events },
    LIMIT,
  );
}

async function setQuota(imageMb: bigint): Promise<void> {
  const { orgs } = api.admin;
  const quota = { machines: 100, memoryMb: 65_536n, imageMb };
  const request = { slug: "personal", standing: Standing.UNSPECIFIED, quota, limits: undefined };
  await call(orgs, orgs.updateOrganization, request, LIMIT);
}

async function organization() {
  const { orgs } = api.admin;
  const found = await call(orgs, orgs.getOrganization, { slug: "personal" }, LIMIT);
  if (!found.organization) throw new Error("no organisation");
  return found.organization;
}

async function used(): Promise<bigint> {
  return (await organization()).imageMbUsed;
}
