import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { WatchedMachine } from "../../../../src/gen/windhover/hostd/v1/hostd.ts";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { openDuplex } from "../../../../src/lib/grpc/calls/duplex.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { durationToProto } from "../../../../src/lib/grpc/messages/duration.ts";
import { expectCleanAfterRemoval } from "../clean.ts";
import { startHost, type TestHost } from "../fixture.ts";
import { newId } from "../requests.ts";

const SCOPE = { timeoutMs: 20_000 };
const UNKNOWN = newId();

let host: TestHost;
beforeAll(async () => {
  host = await startHost();
});
afterAll(() => host.close());
afterEach(() => expectCleanAfterRemoval(host));

test("a watch tells the state of each machine that is named, then every change, and what is not there", async () => {
  const { id } = await host.created({ exec: ["sim-run"] });
  const other = (await host.created({ exec: ["sim-run"] })).id;
  const watch = openDuplex(host.client, host.client.watchMachines, { timeoutMs: 20_000 });
  const told: WatchedMachine[] = [];
  const reading = (async () => {
    for await (const { machines } of watch.messages) told.push(...machines);
  })();
  reading.catch(() => {});
  const statesOf = (machineId: string) =>
    told.filter((each) => each.id === machineId).map(({ machine }) => machine?.state);

  await watch.write({ watchIds: [id, other, UNKNOWN], unwatchIds: [] });
  await expect.poll(() => told.length).toBe(3);
  await watch.write({ watchIds: [], unwatchIds: [other] });
  await host.start(id, { watchMs: 0 });
  await host.start(other, { watchMs: 0 });
  await host.stop(id);
  await expect.poll(() => statesOf(id).at(-1)).toBe(MachineState.STOPPED);
  watch.cancel();

  const { CREATED, STARTING, STARTED, STOPPING, STOPPED } = MachineState;
  expect(new Set(statesOf(id))).toEqual(new Set([CREATED, STARTING, STARTED, STOPPING, STOPPED]));
  expect(statesOf(other)).toEqual([CREATED]);
  expect(told.find((each) => each.id === UNKNOWN)).toMatchObject({ missing: true, machine: undefined });
  const started = told.find(({ machine }) => machine?.state === STARTED);
  expect(started?.reachable).toEqual([STOPPED]);
  expect(started?.machine).toMatchObject({ config: undefined, events: [{ type: "start" }] });
  await host.stop(other);
});

describe("wait", () => {
  const wait = (machineId: string, states: MachineState[], timeoutMs?: number, org = "") =>
    call(
      host.client,
      host.client.waitMachine,
      {
        ...{ instanceId: "", afterEventId: "", ready: false, machineId, org, states },
        timeout: durationToProto(timeoutMs),
      },
      SCOPE,
    );

  test("ends with the state", async () => {
    const { id } = await host.created({ exec: ["sim-exit", "0", "sim-run-for", "50"] });
    await host.start(id, { watchMs: 0 });

    const { machine } = await wait(id, [MachineState.STOPPED, MachineState.FAILED]);

    expect(machine?.state).toBe(MachineState.STOPPED);
  });

  test("fails as soon as the state cannot be reached", async () => {
    const { id } = await host.created({ exec: ["sim-hang"] });

    await expect(wait(id, [])).rejects.toMatchObject({
      reason: "STATE_UNREACHABLE",
      facts: { state: "created" },
    });
    host.start(id).catch(() => {});
    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.STARTING);
    const waiting = wait(id, [MachineState.STARTED]);
    waiting.catch(() => {});
    await host.stop(id);

    await expect(waiting).rejects.toMatchObject({ reason: "STATE_UNREACHABLE", facts: { state: "stopped" } });
  });

  test("times out", async () => {
    const { id } = await host.created();
    await host.start(id);

    await expect(wait(id, [MachineState.STOPPED], 30)).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
      reason: "WAIT_TIMEOUT",
      facts: { state: "started" },
    });
  });

  test("wrong fields and other organisations", async () => {
    const { id } = await host.created();

    await expect(wait(id, [MachineState.UNSPECIFIED], 300_001)).rejects.toMatchObject({
      facts: { fields: "states[0],timeout" },
    });
    await expect(wait(id, [MachineState.CREATED], 100, "evil")).rejects.toMatchObject({
      reason: "MACHINE_NOT_FOUND",
    });
  });
});
