import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import type { Machine } from "../../../../src/hostd/machines/machine.ts";
import { reconcileAtStart, sweep } from "../../../../src/hostd/operations/reconcile.ts";
import { systemClock } from "../../../../src/lib/runtime/clock.ts";
import { expectCleanAfterRemoval } from "../clean.ts";
import { startHost, type TestHost } from "../fixture.ts";

const HOUR_MS = 3_600_000;
const POLL = { timeout: 20_000, interval: 10 };
const ENDS = ["sim-exit", "1", "sim-run-for", "5"];

let host: TestHost;
let skewMs = 0;
const clock = { now: () => systemClock.now() + skewMs, monotonicMs: () => systemClock.monotonicMs() };
beforeEach(async () => {
  skewMs = 0;
  host = await startHost({ clock });
});
afterEach(async () => {
  await expectCleanAfterRemoval(host);
  await host.close();
});

const becomes = (id: string, state: MachineState) =>
  expect.poll(async () => (await host.get(id)).state, POLL).toBe(state);

/** Sets the clock back when a machine has come into a state, and what waits there has begun to. */
function setBackWhen(id: string, hasCome: (machine: Machine) => boolean): void {
  host.store.subscribe(id, (machine) => {
    if (hasCome(machine)) setImmediate(() => (skewMs = -HOUR_MS));
  });
}

describe("a clock that is set back", () => {
  test("lengthens no grace of a stop", async () => {
    const { id } = await host.created({ exec: ["sim-signal-ignore"] });
    await host.start(id);
    setBackWhen(id, ({ state }) => state === "stopping");

    const { machine } = await host.stop(id, { timeoutMs: 300 });

    expect([skewMs, machine?.state]).toEqual([-HOUR_MS, MachineState.STOPPED]);
  });

  test("holds up no restart by the policy", async () => {
    const { id } = await host.created({
      exec: ENDS,
      config: { restart: { policy: "on-failure", maxRetries: 2 } },
    });
    setBackWhen(id, ({ state, restarts }) => state === "restarting" && restarts?.count === 1);

    await host.start(id, { watchMs: 0 });

    await becomes(id, MachineState.STOPPED);
    expect(skewMs).toBe(-HOUR_MS);
    expect((await host.get(id)).events[0]).toMatchObject({ reason: "RESTARTS_EXHAUSTED", restartCount: 2 });
  });
});

test("what a clock that is set forward makes due is begun by the next sweep", async () => {
  const { id } = await host.created({ config: { schedule: "hourly" } });
  skewMs = HOUR_MS;

  await sweep(host.host, host.machines);

  await becomes(id, MachineState.STARTED);
});

test("a restart that hostd did not outlive waits until a VM that no machine has is destroyed", async () => {
  const { id } = await host.created({ exec: ENDS, config: { restart: { policy: "always" } } });
  await host.start(id, { watchMs: 0 });
  await becomes(id, MachineState.RESTARTING);
  const { machines } = host;
  const order: string[] = [];
  const vmm = {
    list: async () => [`${id}-leftover`],
    destroy: async (vmId: string) => void order.push(`destroyed ${vmId}`),
  };
  const adopting = { ...host.host, vmm };
  const { driver } = machines;
  machines.driver = (known) => {
    order.push("driver");
    return driver.call(machines, known);
  };

  await reconcileAtStart(adopting, machines);
  machines.driver = driver;

  expect(order.slice(0, 2)).toEqual([`destroyed ${id}-leftover`, "driver"]);
});
