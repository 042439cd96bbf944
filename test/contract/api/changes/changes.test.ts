import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { durationToProto } from "../../../../src/lib/grpc/messages/duration.ts";
import { type ChangeCalls, changeCalls } from "../../../support/change-calls.ts";

import { faultOf } from "../../../support/fault-of.ts";
import { type TestApi, World } from "../fixture.ts";
import { withoutDatabase } from "./without-database.ts";

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
  id = (await api.user.create({ skipLaunch: false })).machine?.id ?? "";
});

describe("a machine", () => {
  test("is restarted, with another signal and grace, or killed", async () => {
    const { machine } = await user.restart(id, { signal: "SIGTERM", timeout: durationToProto(1_000) });
    const killed = await user.restart(id, { forceStop: true });

    expect(machine).toMatchObject({ state: MachineState.STARTED, events: [{ type: "restart" }, {}] });
    expect(killed.machine?.events[0]?.message).toBe("killed");
  });

  test("is sent a signal only while it runs", async () => {
    await user.signal(id, "SIGHUP");
    await user.stop(id);

    expect(await faultOf(user.signal(id, "SIGHUP"))).toMatchObject({ reason: "INVALID_STATE" });
    expect(world.host(1).signals).toEqual(["SIGHUP"]);
  });

  test("is cordoned and uncordoned, twice if need be", async () => {
    const cordons: (boolean | undefined)[] = [];
    for (const cordoned of [true, true, false]) {
      await user.cordon(id, cordoned);
      cordons.push((await api.user.get(id))?.cordoned);
    }

    expect(cordons).toEqual([true, true, false]);
  });

  test("keeps its version when its metadata changes by key or as a whole", async () => {
    const { instanceId } = (await api.user.get(id)) ?? {};
    await user.metadata(id, { a: "1", b: "2" });
    await user.metadata(id, { b: "3" }, { remove: ["a", "unknown"] });
    const changed = await user.metadata(id, { c: "4" }, { currentVersion: instanceId ?? "" });
    const replaced = await user.metadata(id, { d: "5" }, { replace: true });

    expect(Object.fromEntries(changed.machine?.config?.metadata ?? [])).toEqual({ b: "3", c: "4" });
    expect(Object.fromEntries(replaced.machine?.config?.metadata ?? [])).toEqual({ d: "5" });
    expect(replaced.machine?.instanceId).toBe(instanceId);
    const stale = await faultOf(user.metadata(id, { e: "6" }, { currentVersion: "other" }));
    expect(stale).toMatchObject({ code: "FAILED_PRECONDITION", reason: "VERSION_MISMATCH" });
  });

  test("is suspended by a host that can, with the nonce of its lease", async () => {
    world.host(1).suspends = true;

    const suspended = await user.suspend(id);

    expect(suspended.machine?.state).toBe(MachineState.SUSPENDED);
    expect(await faultOf(user.suspend("00001abcdef123"))).toMatchObject({ reason: "MACHINE_NOT_FOUND" });
    world.host(1).suspends = false;
  });

  test("cannot be suspended by another host, and the answer says what to do instead", async () => {
    const fault = await faultOf(user.suspend(id));

    expect(fault).toMatchObject({ code: "UNIMPLEMENTED", reason: "SUSPEND_NOT_SUPPORTED" });
    expect(fault.message).toContain("stop it");
    expect(await faultOf(user.suspend("00001abcdef123"))).toMatchObject({ reason: "MACHINE_NOT_FOUND" });
  });
});

describe("a request to change a machine", () => {
  test.each<[string, () => Promise<unknown>, string]>([
    [
      "a restart",
      () => user.restart("x", { signal: "SIGFOO", timeout: durationToProto(300_001) }),
      "machine_id,signal,timeout",
    ],
    ["a signal", () => user.signal("", "SIGFOO"), "machine_id,signal"],
    ["a signal without a name", () => user.signal(id, ""), "signal"],
    ["a cordon", () => user.cordon("", true, "x".repeat(65)), "machine_id,lease_nonce"],
    ["a start", () => user.start("", "x".repeat(65)), "machine_id,lease_nonce"],
    ["a stop", () => user.stop("", "x".repeat(65)), "machine_id,lease_nonce"],
    ["a destroy", () => user.destroy("", "x".repeat(65)), "machine_id,lease_nonce"],
    [
      "metadata",
      () => user.metadata(id, { "": "x", a: "\0", b: "" }, { remove: ["\n", "b"] }),
      "set[],set[a],remove[0],remove[1]",
    ],
    ["metadata of nothing", () => user.metadata(id, {}), "set"],
    [
      "too much metadata",
      () => user.metadata(id, {}, { remove: Array.from({ length: 65 }, (_, i) => `k${i}`) }),
      "remove",
    ],
  ])("names every wrong field of %s at once", async (_, act, fields) => {
    expect(await faultOf(act())).toMatchObject({ reason: "INVALID_FIELDS", facts: { fields } });
  });
});

describe("changes of machines", () => {
  const changes: [string, string, (machineId: string) => Promise<unknown>][] = [
    ["restartMachine", "restart", (machineId) => user.restart(machineId)],
    ["signalMachine", "signal", (machineId) => user.signal(machineId, "SIGHUP")],
    ["setMachineCordon", "cordon", (machineId) => user.cordon(machineId, true)],
    ["updateMetadata", "update", (machineId) => user.metadata(machineId, { a: "1" })],
    ["startMachine", "start", (machineId) => user.start(machineId)],
    ["stopMachine", "stop", (machineId) => user.stop(machineId)],
    ["acquireLease", "lease", (machineId) => user.acquire(machineId)],
  ];

  test.each(changes)("by %s tell the faults of the host as they are", async (method, _, act) => {
    world.host(1).before(method, () => {
      throw new Fault("FAILED_PRECONDITION", "INVALID_STATE", "not now", { state: "destroying" });
    });

    const fault = await faultOf(act(id));
    expect(fault).toMatchObject({ code: "FAILED_PRECONDITION", reason: "INVALID_STATE", message: "not now" });
    expect(fault.facts).toMatchObject({ state: "destroying" });
  });

  test("need no database, and say so when the host does not answer", async () => {
    const there = user;
    try {
      await withoutDatabase(world, async (apart) => {
        user = changeCalls(apart.user);
        for (const [, , act] of changes.filter(([method]) => method !== "acquireLease")) {
          await act(id);
          await user.start(id);
        }
        await user.acquire(id);
        await world.host(1).stop();
        for (const [, , act] of changes)
          expect(await faultOf(act(id))).toMatchObject({ code: "UNAVAILABLE", reason: "HOST_UNREACHABLE" });
      });
    } finally {
      user = there;
      await world.host(1).start();
      const reason = async () => (await faultOf(api.user.start("00001abcdef123"))).reason;
      await expect.poll(reason).toBe("MACHINE_NOT_FOUND");
    }
  });

  test.each(changes)("by %s are refused for a machine that there is not", async (_method, _, act) => {
    expect(await faultOf(act("00001abcdef123"))).toMatchObject({
      code: "NOT_FOUND",
      reason: "MACHINE_NOT_FOUND",
    });
  });

  test.each(changes)(
    "by %s are refused for a destroyed machine, by its state",
    async (_method, verb, act) => {
      await user.destroy(id);
      await world.sql(
        "update machines set state = 'destroyed', snapshot = snapshot || '{\"state\":\"destroyed\"}' where id = $1",
        [id],
      );

      const fault = await faultOf(act(id));
      expect(fault).toMatchObject({ code: "FAILED_PRECONDITION", reason: "INVALID_STATE" });
      expect(fault.message).toBe(`unable to ${verb} machine from current state: 'destroyed'`);
    },
  );
});
