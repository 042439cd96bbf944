import { describe, expect, test } from "vitest";
import { UpdateMachineRequest } from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { changeCalls } from "../../../support/change-calls.ts";
import { faultOf } from "../../../support/fault-of.ts";
import { api, DOUBLE, id, limit, NEW_DIGEST, usedMb, user, withMachine, world } from "./fixture.ts";

withMachine();

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
