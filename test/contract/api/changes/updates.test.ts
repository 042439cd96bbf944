import { describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { durationToProto } from "../../../../src/lib/grpc/messages/duration.ts";
import { changeCalls } from "../../../support/change-calls.ts";
import { faultOf } from "../../../support/fault-of.ts";
import { api, DOUBLE, id, NEW_DIGEST, usedMb, user, withMachine, world } from "./fixture.ts";
import { withoutDatabase } from "./without-database.ts";

withMachine();

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

/** Waits until the api has a connection to the host again. */
async function answers(): Promise<void> {
  const reason = async () => (await faultOf(user.start("00001abcdef123"))).reason;
  await expect.poll(reason).toBe("MACHINE_NOT_FOUND");
}

async function stored() {
  const [row] = await world.sql(
    "select memory_mb, image_digest as digest, snapshot ->> 'instanceId' as version from machines where id = $1",
    [id],
  );
  return row;
}
