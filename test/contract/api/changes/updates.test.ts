import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { UpdateMachineRequest } from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { durationToProto } from "../../../../src/lib/grpc/messages/duration.ts";
import { type ChangeCalls, changeCalls } from "../../../support/change-calls.ts";

import { faultOf } from "../../../support/fault-of.ts";
import { type TestApi, World } from "../fixture.ts";
import { withoutDatabase } from "./without-database.ts";

const NEW_DIGEST = `sha256:${"cd".repeat(32)}`;
const DOUBLE = { guest: { memoryMb: 512 } };

let world: World;
let api: TestApi;
let user: ChangeCalls;
let id: string;

beforeAll(async () => {
  world = await World.open(1);
  api = await world.api();
  user = changeCalls(api.user);
  await api.user.createApp("web");
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.clear();
  world.images.fault = undefined;
  world.images.run = {};
  await limit("standing = 'good', quota_memory_mb = 65536, quota_image_mb = 1048576");
  // A test may have had it banned, which an api forgets when it asks again.
  await expect.poll(() => api.revocations.isSuspended("personal")).toBe(false);
  id = (await api.user.create({ skipLaunch: false, config: { env: { A: "1" } } })).machine?.id ?? "";
});

describe("an update", () => {
  test("replaces the whole configuration by a new version, in the database too", async () => {
    const before = await api.user.get(id);
    const digest = world.images.digest;
    world.images.digest = NEW_DIGEST;
    const { machine } = await user.update(id, { ...DOUBLE, schedule: "daily" });
    world.images.digest = digest;

    expect(machine).toMatchObject({
      state: MachineState.STARTED,
      config: { image: "nginx", schedule: "daily", guest: { cpus: 1, memoryMb: 512 } },
      imageRef: { digest: NEW_DIGEST },
    });
    expect(machine?.config?.env).toEqual(new Map());
    expect(machine?.instanceId).not.toBe(before?.instanceId);
    expect(await stored()).toEqual({ memory_mb: 512, digest: NEW_DIGEST, version: machine?.instanceId });
    expect(await world.sql("select * from memory_reservations")).toEqual([]);
  });

  test("is made only of the version that the caller knows", async () => {
    const { instanceId } = (await api.user.get(id)) ?? {};
    await user.update(id, {}, { currentVersion: instanceId ?? "" });

    const stale = await faultOf(user.update(id, {}, { currentVersion: instanceId ?? "" }));
    expect(stale).toMatchObject({ code: "ABORTED", reason: "VERSION_MISMATCH" });
    expect(stale.facts["current_version"]).toBe((await api.user.get(id))?.instanceId);
  });

  test("leaves a machine that does not run, unless it is to be launched", async () => {
    await user.stop(id);

    expect((await user.update(id, {})).machine?.state).toBe(MachineState.STOPPED);
    expect((await user.update(id, {}, { launch: true })).machine?.state).toBe(MachineState.STARTED);
    expect((await user.update(id, {}, { skipLaunch: true })).machine?.state).toBe(MachineState.STOPPED);
  });

  test("needs the nonce of a lease, which outlives it", async () => {
    const { lease } = await user.acquire(id);

    expect(await faultOf(user.update(id, {}))).toMatchObject({ code: "ABORTED", reason: "LEASE_HELD" });
    await user.update(id, {}, { leaseNonce: lease?.nonce ?? "" });
    expect((await user.lease(id)).lease).toEqual(lease);
  });

  test("names every wrong field at once", async () => {
    const change = {
      currentVersion: "x".repeat(65),
      leaseNonce: "x".repeat(65),
      ...{ launch: true, skipLaunch: true, readyTimeout: durationToProto(300_001) },
    };
    const config = {
      image: "",
      schedule: "never",
      files: [{ guestPath: "../x", content: Buffer.alloc(0), mode: 0 }],
    };

    const fault = await faultOf(user.update("x", config, change));

    expect(fault.facts["fields"]?.split(",")).toEqual([
      ...["machine_id", "config.image", "config.schedule", "config.files[0].guest_path"],
      ...["current_version", "skip_launch", "lease_nonce", "ready_timeout"],
    ]);
  });

  test("is of a machine that there is, and that is not destroyed", async () => {
    const acme = await api.as("acme", ["machines:read", "machines:write"]);
    const asked = world.images.asked;

    for (const update of [() => user.update("00001abcdef123", {}), () => changeCalls(acme).update(id, {})])
      expect(await faultOf(update())).toMatchObject({ code: "NOT_FOUND", reason: "MACHINE_NOT_FOUND" });
    expect(world.images.asked).toBe(asked);
    acme.close();
  });

  test.each([
    ["IMAGE_NOT_FOUND", () => (world.images.fault = new Fault("NOT_FOUND", "IMAGE_NOT_FOUND", "none"))],
    ["IMAGE_CONFIG_INVALID", () => (world.images.run = { entrypoint: [], cmd: [] })],
  ])("to an image with the fault %s is refused before the host is asked", async (reason, spoil) => {
    spoil();

    expect(await faultOf(user.update(id, DOUBLE))).toMatchObject({ reason });
    expect(world.host(1).calls).not.toContain("updateMachine");
    expect(await stored()).toMatchObject({ memory_mb: 256 });
  });

  test("may override what is wrong with the image", async () => {
    world.images.run = { entrypoint: [], cmd: [] };

    const init = { exec: ["/bin/true"], entrypoint: [], cmd: [], user: "", workingDir: "", tty: true };
    const { machine } = await user.update(id, { init });

    expect(machine?.config?.init).toEqual(init);
  });

  test.each([
    "AUTO_DESTROY",
    "INVALID_STATE",
    "ROLLED_BACK",
    "INSUFFICIENT_CAPACITY",
    "HOST_DRAINING",
    "EXEC_FAILED",
  ])("tells %s of the host as it is, and keeps nothing reserved", async (reason) => {
    world.host(1).before("updateMachine", () => {
      throw new Fault("FAILED_PRECONDITION", reason, "no", { state: "x" });
    });

    const fault = await faultOf(user.update(id, DOUBLE));
    expect(fault).toMatchObject({
      code: "FAILED_PRECONDITION",
      reason,
      message: "no",
      facts: { state: "x" },
    });
    expect(await usedMb()).toBe(256);
  });

  test("is refused without the database, at once when the host does not answer", async () => {
    await withoutDatabase(world, async (apart) => {
      const fault = await faultOf(changeCalls(apart.user).update(id, {}));
      expect(fault).toMatchObject({ code: "UNAVAILABLE", reason: "DATABASE_UNAVAILABLE" });
    });
    const asked = world.images.asked;
    await world.host(1).stop();
    try {
      expect(await faultOf(user.update(id, {}))).toMatchObject({ reason: "HOST_UNREACHABLE" });
      expect(world.images.asked).toBe(asked);
    } finally {
      await world.host(1).start();
      await answers();
    }
  });
});

describe("the quota of an organisation", () => {
  test("counts what an update adds, and what it takes away at once", async () => {
    await limit("quota_memory_mb = 768");

    const over = await faultOf(user.update(id, { guest: { memoryMb: 1_024 } }));
    await user.update(id, DOUBLE);
    await faultOf(api.user.create({ config: DOUBLE }));
    await user.update(id, {});

    const facts = { org: "personal", used: "256", limit: "768", asked: "768" };
    expect(over).toMatchObject({ code: "RESOURCE_EXHAUSTED", reason: "QUOTA_MEMORY", facts });
    await api.user.create({ config: DOUBLE });
    expect(await usedMb()).toBe(768);
  });

  test("does not keep an organisation that is over it from updates that add nothing", async () => {
    await limit("quota_memory_mb = 128, quota_image_mb = 0");

    await user.update(id, {});
    expect(await faultOf(user.update(id, DOUBLE))).toMatchObject({ reason: "QUOTA_MEMORY" });
    const digest = world.images.digest;
    world.images.digest = NEW_DIGEST;
    const images = await faultOf(user.update(id, {}));
    world.images.digest = digest;
    expect(images).toMatchObject({ code: "RESOURCE_EXHAUSTED", reason: "QUOTA_IMAGES" });
  });

  test.each([
    ["past_due", "ORG_PAST_DUE"],
    ["banned", "ORG_BANNED"],
  ])("is no matter for one that is %s", async (standing, reason) => {
    await limit(`standing = '${standing}'`);

    expect(await faultOf(user.update(id, {}))).toMatchObject({ code: "PERMISSION_DENIED", reason });
    expect(world.host(1).calls).not.toContain("updateMachine");
  });

  test("is never passed, however many updates ask at once", async () => {
    const more = await Promise.all([1, 2, 3].map(() => api.user.create()));
    const ids = [id, ...more.map(({ machine }) => machine?.id ?? "")];
    await limit("quota_memory_mb = 1536");

    const results = await Promise.allSettled(ids.map((each) => user.update(each, DOUBLE)));

    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(2);
    expect(await usedMb()).toBe(1_536);
  });

  test("counts an update whose answer was lost until the host reports what became of it", async () => {
    await limit("quota_memory_mb = 512");
    world.host(1).after("updateMachine", () => {
      throw new Fault("UNAVAILABLE", "SERVER_DRAINING", "lost");
    });

    expect(await faultOf(user.update(id, DOUBLE))).toMatchObject({ reason: "HOST_UNREACHABLE" });
    expect(await faultOf(api.user.create())).toMatchObject({ reason: "QUOTA_MEMORY" });
    expect(await usedMb()).toBe(512);

    await user.update(id, {});
    expect(await usedMb()).toBe(256);
    await api.user.create();
  });

  test("gives back what an update reserved that never came to its host", async () => {
    world.host(1).before("updateMachine", () => {
      throw new Fault("UNAVAILABLE", "SERVER_DRAINING", "lost");
    });

    await faultOf(user.update(id, DOUBLE));

    await expect.poll(usedMb).toBe(256);
    expect(await world.sql("select * from memory_reservations")).toEqual([]);
  });

  test("gives back what an update reserved whose caller went away during the pull", async () => {
    const pull = Promise.withResolvers<void>();
    world.host(1).before("updateMachine", () => pull.promise);
    const request = UpdateMachineRequest.fromPartial({
      machineId: id,
      config: { image: "nginx", ...DOUBLE },
    });
    const { machines } = api.user;
    const caller = new AbortController();
    const scope = { timeoutMs: 60_000, signal: caller.signal };
    const gone = faultOf(call(machines, machines.updateMachine, request, scope));

    await expect.poll(usedMb).toBe(512);
    caller.abort();
    await gone;
    await expect.poll(usedMb).toBe(256);
    pull.resolve();
  });

  test("counts no longer what an api has reserved that died", async () => {
    const dying = await world.api();
    let isLost = true;
    const lose = () => {
      if (isLost) throw new Fault("UNAVAILABLE", "SERVER_DRAINING", "lost");
    };
    world.host(1).before("updateMachine", () => {
      // Otherwise the api could ask it before it dies.
      world.host(1).before("getMachine", lose, 99);
      lose();
    });
    await faultOf(changeCalls(dying.user).update(id, DOUBLE));
    await dying.close();
    isLost = false;
    expect(await usedMb()).toBe(512);

    await world.sql("update memory_reservations set expire_time = now() - interval '1 second'");
    expect(await usedMb()).toBe(256);
    const other = (await api.user.create()).machine?.id ?? "";
    await user.update(other, DOUBLE);
    expect(await world.sql("select * from memory_reservations")).toEqual([]);
  });
});

/** Waits until the api has a connection to the host again. */
async function answers(): Promise<void> {
  const reason = async () => (await faultOf(user.start("00001abcdef123"))).reason;
  await expect.poll(reason).toBe("MACHINE_NOT_FOUND");
}

async function limit(change: string): Promise<void> {
  await world.sql(`update organizations set ${change} where slug = 'personal'`);
}

/** Memory that counts, as the organisation sees it. */
async function usedMb(): Promise<number> {
  const { orgs } = api.admin;
  return await new Promise((resolve, reject) => {
    orgs.getOrganization({ slug: "personal" }, (err, response) =>
      err ? reject(err) : resolve(Number(response.organization?.memoryMbUsed)),
    );
  });
}

async function stored() {
  const [row] = await world.sql(
    "select memory_mb, image_digest as digest, snapshot ->> 'instanceId' as version from machines where id = $1",
    [id],
  );
  return row;
}
