import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  AcquireMachineRequest,
  AcquireServiceClient,
  type AcquireStep,
} from "../../../../src/gen/windhover/machines/v1/acquire.ts";
import { MachineConfig, MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { call, connect } from "../../../../src/lib/grpc/client.ts";
import { mapToProto } from "../../../../src/lib/grpc/messages/maps.ts";
import { faultOf } from "../../../support/fault-of.ts";
import { token } from "../clients.ts";
import { type TestApi, World } from "../fixture.ts";

const LIMIT = { timeoutMs: 20_000 };
const FULL = new Fault("RESOURCE_EXHAUSTED", "INSUFFICIENT_CAPACITY", "no room");

let world: World;
let api: TestApi;
let client: AcquireServiceClient;

beforeAll(async () => {
  world = await World.open();
  api = await world.api();
  await api.user.createApp("web");
  const bearer = await token("personal", ["machines:read", "machines:write"]);
  client = connect(AcquireServiceClient, api.address, { token: () => bearer });
});
afterAll(async () => {
  client.close();
  await world.close();
});
beforeEach(async () => {
  await world.sql("delete from acquires");
  await world.clear();
});

const acquire = (steps: AcquireStep[], rest: Partial<AcquireMachineRequest> = {}) =>
  call(client, client.acquireMachine, AcquireMachineRequest.fromPartial({ steps, ...rest }), LIMIT);

const start = (machineId: string): AcquireStep => ({
  step: { $case: "start", value: { machineId } },
  timeout: undefined,
});
const startAny = (metadata: Record<string, string> = {}, region = ""): AcquireStep => ({
  step: { $case: "startAny", value: { app: "web", region, metadata: mapToProto(metadata) } },
  timeout: undefined,
});
const launch = (image = "nginx"): AcquireStep => ({
  step: {
    $case: "launch",
    value: { app: "web", config: MachineConfig.fromPartial({ image }), region: "", placement: undefined },
  },
  timeout: undefined,
});

/** A machine that does not run, as the database knows it. */
async function stopped(metadata: Record<string, string> = {}): Promise<string> {
  const { machine } = await api.user.create({ skipLaunch: true, config: { metadata } });
  return machine?.id ?? "";
}

describe("AcquireMachine", () => {
  test("starts the machine of the first step that works, and says what was tried", async () => {
    const [first, second] = [await stopped(), await stopped()];
    for (const host of [1, 2]) world.host(host).before("startMachine", (id) => failOf(id, first));

    const { machine, step, repeated, attempts } = await acquire([start(first), start(second)]);

    expect(machine).toMatchObject({ id: second, state: MachineState.STARTED });
    expect({ step, repeated }).toEqual({ step: 1, repeated: false });
    expect(
      attempts.map(({ step: index, machineId, outcome, reason }) => [index, machineId, outcome, reason]),
    ).toEqual([
      [0, first, "failed", "INSUFFICIENT_CAPACITY"],
      [1, second, "started", ""],
    ]);
    expect(attempts.every(({ duration }) => duration !== undefined)).toBe(true);
  });

  test("takes any stopped machine with the metadata asked for, and launches one when there is none", async () => {
    await stopped({ pool: "b" });
    const wanted = await stopped({ pool: "a" });

    const first = await acquire([startAny({ pool: "a" }), launch()]);
    const second = await acquire([startAny({ pool: "a" }), launch()]);

    expect(first.machine?.id).toBe(wanted);
    expect(second.step).toBe(1);
    expect(second.machine).toMatchObject({ state: MachineState.STARTED, app: "web" });
    // Known as started to the host, while the database may lag behind.
    expect(["NO_STOPPED_MACHINE", "ALREADY_STARTED"]).toContain(second.attempts[0]?.reason);
  });

  test("refuses metadata that no machine can have", async () => {
    const fault = await faultOf(acquire([startAny({ pool: "a\0" })]));

    expect(fault).toMatchObject({ reason: "INVALID_FIELDS" });
    expect(fault.violations.map(({ field }) => field)).toEqual(["steps[0].start_any.metadata"]);
  });

  test("tries other hosts before it tries other machines of one that is full", async () => {
    const hostOf = (id: string) => Number.parseInt(id.slice(0, 5), 16);
    const many: string[] = [];
    for (let i = 0; i < 4; i++) many.push(await stopped());
    world.scheduler.hosts.reverse();
    const rare = await stopped();
    world.scheduler.hosts.reverse();
    const full = hostOf(many[0] ?? "");
    expect([...many.map(hostOf), 3 - hostOf(rare)]).toEqual(Array(5).fill(full));
    world.host(full).before("startMachine", () => Promise.reject(FULL), 99);

    const { machine, attempts } = await acquire([startAny()]);

    expect(machine?.id).toBe(rare);
    expect(attempts.length).toBeLessThanOrEqual(2);
  });

  test.each([
    ["a machine", (id: string) => start(id)],
    ["any machine, and its lease", () => startAny()],
  ])("gives back %s that runs after the deadline of its call", async (_, stepOf) => {
    const id = await stopped();
    const [asked, going] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    for (const host of [1, 2])
      world.host(host).before("startMachine", () => {
        asked.resolve();
        return going.promise;
      });
    const request = AcquireMachineRequest.fromPartial({ steps: [stepOf(id)] });

    const fault = await faultOf(call(client, client.acquireMachine, request, { timeoutMs: 2_000 }));
    await asked.promise;
    going.resolve();

    expect(fault.code).toBe("DEADLINE_EXCEEDED");
    const onHost = () => world.onHosts.find((machine) => machine.id === id);
    await expect.poll(() => onHost()?.state).toBe(MachineState.STOPPED);
    // Nobody needs a nonce.
    await expect.poll(async () => (await api.user.start(id)).machine?.state).toBe(MachineState.STARTED);
  });

  test("takes no machine that a create is about to start", async () => {
    const going = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    for (const host of [1, 2])
      world.host(host).before("startMachine", () => {
        asked.resolve();
        return going.promise;
      });
    const created = api.user.create({ skipLaunch: false });
    await asked.promise;
    await expect
      .poll(async () =>
        (await world.sql("select state from machines where committed")).map(({ state }) => state),
      )
      .toEqual(["created"]);

    const fault = await faultOf(acquire([startAny()]));
    going.resolve();

    expect(fault.facts).toMatchObject({ reason_0: "NO_STOPPED_MACHINE" });
    expect((await created).machine?.state).toBe(MachineState.STARTED);
  });

  test("with a key gets the same machine again, and refuses other steps", async () => {
    const first = await acquire([launch()], { key: "session-1" });
    const again = await acquire([launch()], { key: "session-1" });
    const other = await faultOf(acquire([launch("redis")], { key: "session-1" }));

    expect(again).toMatchObject({ repeated: true, machine: { id: first.machine?.id } });
    expect(other).toMatchObject({ code: "INVALID_ARGUMENT", reason: "KEY_REUSED" });
    expect(world.onHosts).toHaveLength(1);
  });

  test("says of every step why none has worked, and leaves nothing behind", async () => {
    const id = await stopped();
    for (const host of [1, 2]) world.host(host).before("startMachine", () => Promise.reject(FULL), 99);
    world.images.fault = new Fault("NOT_FOUND", "IMAGE_NOT_FOUND", "no such image");

    const fault = await faultOf(acquire([start(id), start("0000fffffffff1"), startAny(), launch()]));
    world.images.fault = undefined;

    expect(fault).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "NO_STEP_WORKED",
      facts: {
        reason_0: "INSUFFICIENT_CAPACITY",
        reason_1: "HOST_UNKNOWN",
        reason_2: "INSUFFICIENT_CAPACITY",
        reason_3: "IMAGE_NOT_FOUND",
      },
    });
    expect(world.onHosts.map((machine) => machine.id)).toEqual([id]);
  });

  test("names every wrong field of every step at once", async () => {
    const bad = [start("x"), startAny({}, "atlantis"), launch(""), { step: undefined, timeout: undefined }];

    const { violations } = await faultOf(acquire(bad, { key: "a b", timeout: { seconds: -1n, nanos: 0 } }));

    expect(violations.map(({ field }) => field)).toEqual([
      "key",
      "timeout",
      "steps[0].start.machine_id",
      "steps[1].start_any.region",
      "steps[2].launch.config.image",
      "steps[3].step",
    ]);
    expect((await faultOf(acquire([]))).violations[0]?.field).toBe("steps");
  });

  test("of another organisation's machine finds nothing, and a token without the scope may not", async () => {
    const id = await stopped();
    const stranger = await token("umbrella", ["machines:write"]);
    const reader = await token("personal", ["machines:read"]);
    for (const [bearer, reason] of [
      [stranger, "NO_STEP_WORKED"],
      [reader, "SCOPE_MISSING"],
    ] as const) {
      const other = connect(AcquireServiceClient, api.address, { token: () => bearer });
      const request = AcquireMachineRequest.fromPartial({ steps: [start(id), startAny()] });
      const fault = await faultOf(call(other, other.acquireMachine, request, LIMIT));
      other.close();
      expect(fault.reason).toBe(reason);
    }
    expect((await api.user.get(id))?.state).toBe(MachineState.CREATED);
  });
});

async function failOf(id: string, failing: string): Promise<void> {
  if (id === failing) throw FULL;
}
