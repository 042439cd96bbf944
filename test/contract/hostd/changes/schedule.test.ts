import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { hostFolder, startHost, type TestHost } from "../fixture.ts";

const POLL = { timeout: 20_000, interval: 10 };
const ENDS = ["sim-exit", "1", "sim-run-for", "5"];

let host: TestHost;
beforeAll(async () => {
  host = await startHost();
});
afterAll(() => host.close());

/** Waits until a machine is in a state. */
async function becomes(id: string, state: MachineState, on: TestHost) {
  await expect.poll(async () => (await on.get(id)).state, POLL).toBe(state);
  return on.get(id);
}

describe("a schedule", () => {
  const HOUR_MS = 3_600_000;
  const config = { schedule: "hourly" };
  let folder: ReturnType<typeof hostFolder>;
  beforeEach(() => {
    folder = hostFolder();
  });
  afterEach(() => folder.remove());

  /** Creates a machine, and comes back just before its hour is over. Time stands still there until it goes on. */
  async function untilDue(exec: string[], isStarted = false) {
    const before = await startHost({ dir: folder.path });
    const { id, createTime, nextStartTime } = await before.created({ exec, config });
    expect(Number(nextStartTime)).toBe(Number(createTime) + HOUR_MS);
    if (isStarted) await before.start(id);
    await before.close(true);
    const dueMs = Number(nextStartTime);
    let sinceMs: number | undefined;
    const passedMs = () => (sinceMs === undefined ? 0 : Math.floor(performance.now() - sinceMs));
    const clock = { now: () => dueMs - 300 + passedMs(), monotonicMs: () => performance.now() };
    const goOn = () => {
      sinceMs = performance.now();
    };
    return { id, dueMs, host: await startHost({ dir: folder.path, clock }), goOn };
  }

  test("starts a machine when it is due, and tells when it starts it next", async () => {
    const { id, dueMs, host: on, goOn } = await untilDue(ENDS);
    expect((await on.get(id)).state).toBe(MachineState.CREATED);
    goOn();

    const machine = await becomes(id, MachineState.STOPPED, on);

    expect(machine.events.map(({ type, source }) => `${type} ${source}`)).toEqual([
      "exit hostd",
      "start hostd",
      "launch user",
    ]);
    expect(Number(machine.events[1]?.time)).toBeGreaterThanOrEqual(dueMs);
    expect(Number(machine.nextStartTime)).toBe(dueMs + HOUR_MS);
    await on.close();
  });

  test("passes over a start that is due while the machine runs", async () => {
    const { id, dueMs, host: on, goOn } = await untilDue(["/bin/server"], true);
    goOn();

    await expect.poll(async () => Number((await on.get(id)).nextStartTime), POLL).toBe(dueMs + HOUR_MS);

    expect(await on.get(id)).toMatchObject({
      state: MachineState.STARTED,
      events: [{ type: "start", source: "user" }, {}],
    });
    await on.close();
  });

  test("makes up once for starts that were due while hostd was away", async () => {
    const before = await startHost({ dir: folder.path });
    const { id, createTime } = await before.created({ exec: ENDS, config });
    await before.close(true);

    const clock = { now: () => Date.now() + 5.5 * HOUR_MS, monotonicMs: () => performance.now() };
    const on = await startHost({ dir: folder.path, clock });

    const machine = await becomes(id, MachineState.STOPPED, on);
    expect(machine.events.filter(({ type }) => type === "start")).toHaveLength(1);
    expect(Number(machine.nextStartTime)).toBe(Number(createTime) + 6 * HOUR_MS);
    await on.close();
  });

  test("says when there is no room, and tries again", async () => {
    const { id, dueMs, host: on, goOn } = await untilDue(ENDS);
    on.hold(on.host.ledger.sums().free.memoryMb);
    goOn();

    await expect.poll(async () => (await on.get(id)).events[0]?.type, POLL).toBe("failure");

    const machine = await on.get(id);
    expect(machine).toMatchObject({
      state: MachineState.CREATED,
      events: [{ reason: "INSUFFICIENT_CAPACITY" }, {}],
    });
    expect(Number(machine.nextStartTime)).toBeGreaterThan(dueMs);
    expect(Number(machine.nextStartTime)).toBeLessThan(dueMs + 60_000);
    await on.close();
  });

  test("starts no machine of a banned organisation", async () => {
    const { id, dueMs, host: on, goOn } = await untilDue(ENDS);
    on.revocations.replace({
      version: 1,
      tokens: [],
      orgs: [{ org: "acme", isSuspended: true, notBeforeMs: 0 }],
    });
    goOn();

    await expect.poll(async () => Number((await on.get(id)).nextStartTime), POLL).toBe(dueMs + HOUR_MS);

    expect((await on.get(id)).state).toBe(MachineState.CREATED);
    await on.close();
  });

  test("is that of the newest version", async () => {
    const { id, createTime } = await host.created({ config });

    const daily = await host.update(id, { config: { schedule: "daily" } });
    const none = await host.update(id);

    expect(Number(daily.machine?.nextStartTime)).toBe(Number(createTime) + 24 * HOUR_MS);
    expect(none.machine?.nextStartTime).toBeUndefined();
  });
});
