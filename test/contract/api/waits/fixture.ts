import { afterAll, beforeAll, beforeEach, expect } from "vitest";
import { MachineEvent, type MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { WaitMachineRequest } from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { faultOf } from "../../../support/fault-of.ts";
import { type TestApi, World } from "../fixture.ts";

export const LIMIT = { timeoutMs: 20_000 };

/** The hosts of a test file, and an api of them. Both are there when its tests run. */
export let world: World;
export let api: TestApi;

/** Starts them for the tests of a file, and forgets before each what was called. */
export function withWorld(): void {
  beforeAll(async () => {
    world = await World.open();
    api = await world.api();
    await api.user.createApp("web");
  });
  afterAll(() => world.close());
  beforeEach(async () => {
    // A test may have restarted it.
    const reason = async () => (await faultOf(api.user.start("00001abcdef123"))).reason;
    await expect.poll(reason).toBe("MACHINE_NOT_FOUND");
    for (const host of world.scheduler.hosts) host.calls.length = 0;
    world.scheduler.calls.length = 0;
  });
}

/** Waits for a machine as the user of an api. */
export const until = (machineId: string, request: Partial<WaitMachineRequest>, on = api) => {
  const { machines } = on.user;
  return call(
    machines,
    machines.waitMachine,
    { ...WaitMachineRequest.create(), machineId, ...request },
    LIMIT,
  );
};

export const eventId = (number: string) => number.padStart(26, "0");
export const event = (number: string, status: MachineState) =>
  MachineEvent.fromPartial({ id: eventId(number), type: "start", status });
