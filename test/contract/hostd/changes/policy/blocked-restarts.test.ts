import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { MachineState } from "../../../../../src/gen/windhover/machines/v1/machine.ts";
import { machineId } from "../../../../../src/hostd/machines/machine.ts";
import { expectCleanAfterRemoval } from "../../clean.ts";
import { startHost, type TestHost } from "../../fixture.ts";
import { POLL, policy, stateWait } from "./restarts.ts";

/** Ends, with code 1, when the test says so. */
const ENDS_LATER = ["sim-signal-exit", "1"];

let host: TestHost;
beforeAll(async () => {
  host = await startHost();
});
afterAll(() => host.close());
afterEach(() => expectCleanAfterRemoval(host));
const becomes = stateWait(() => host);

let version = 0;
/** Suspends organisations, and no others. */
function suspend(...orgs: string[]): void {
  version += 1;
  const restrictions = orgs.map((org) => ({ org, isSuspended: true, notBeforeMs: 0 }));
  host.revocations.replace({ version, tokens: [], orgs: restrictions });
}

async function endProcess(id: string): Promise<void> {
  await host.machines.driver(machineId(id)).runtime.vm?.signal(15);
}

describe("a restart policy", () => {
  test("finds no room, tries again, and then fails visibly", async () => {
    const { id } = await host.created({ exec: ENDS_LATER, config: policy("always", 2) });
    await host.start(id, { watchMs: 0 });
    const { ledger } = host.host;
    const holdAll = () => host.hold(ledger.sums().free.memoryMb, 60_000);
    const releaseVm = ledger.releaseVm.bind(ledger);
    // No restart comes between: what becomes free is held at once.
    const released = vi.spyOn(ledger, "releaseVm").mockImplementation((...given) => {
      releaseVm(...given);
      holdAll();
    });
    holdAll();
    await endProcess(id);

    const machine = await becomes(id, MachineState.FAILED);

    released.mockRestore();
    expect(machine.events[0]).toMatchObject({ type: "failure", reason: "INSUFFICIENT_CAPACITY" });
  });

  test("waits while the host has no slot, and counts no restart meanwhile", async () => {
    const { id } = await host.created({ exec: ENDS_LATER, config: policy("always", 1) });
    await host.start(id, { watchMs: 0 });
    const { starts } = host.host;
    const others = new AbortController();
    const slots: Promise<() => void>[] = [];
    // Room is made for one organisation as long as another has more than one start.
    for (let org = 0; !starts.isFull; org += 1) slots.push(starts.enter(`org-${org}`, others.signal));
    const asked = vi.spyOn(starts, "enter");
    await endProcess(id);

    await expect.poll(() => asked.mock.calls.length, POLL).toBeGreaterThanOrEqual(2);
    expect(await host.get(id)).toMatchObject({ state: MachineState.RESTARTING, restartCount: 0 });
    others.abort(new Error("enough"));
    for (const slot of await Promise.allSettled(slots)) if (slot.status === "fulfilled") slot.value();
    asked.mockRestore();

    await becomes(id, MachineState.STARTED);
    await endProcess(id);
    const machine = await becomes(id, MachineState.STOPPED);
    expect(machine).toMatchObject({
      restartCount: 1,
      events: [{ reason: "RESTARTS_EXHAUSTED" }, {}, {}, {}, {}],
    });
  });

  test("restarts a program that cannot be run as often as one that ends", async () => {
    const { id } = await host.created({ exec: ENDS_LATER, config: policy("always", 2) });
    await host.start(id, { watchMs: 0 });
    host.sim.failNext("launch", 5);
    await endProcess(id);

    const machine = await becomes(id, MachineState.FAILED);

    host.sim.failNext("launch", 0);
    expect(machine.events[0]).toMatchObject({ type: "failure", reason: "START_FAILED" });
    expect(machine.events[1]).toMatchObject({ type: "failure", status: MachineState.RESTARTING });
  });

  test("does not restart machines of a banned organisation", async () => {
    const { id } = await host.created({
      exec: ["sim-exit", "1", "sim-run-for", "100"],
      config: policy("always"),
    });
    await host.start(id, { watchMs: 0 });
    suspend("acme");

    const machine = await becomes(id, MachineState.STOPPED);

    suspend();
    expect(machine.events[0]).toMatchObject({ type: "failure", reason: "ORG_BANNED" });
  });
});
