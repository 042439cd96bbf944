import { expect, vi } from "vitest";
import { savedMbOf } from "../../../../src/hostd/machines/machine.ts";
import { type FakeImages, startHost, type TestHost } from "../fixture.ts";
import { Death } from "./death.ts";

/** The calls to a host until it dies. */
export type Life = (host: TestHost) => Promise<void>;

/** Waits until a host is at rest, and expects its invariants. */
export async function expectRightness(host: TestHost): Promise<void> {
  // A process may end at any time: each attempt reads all values again.
  await vi.waitFor(
    async () => {
      await host.host.teardowns.all();
      const [vmIds, entries] = await Promise.all([host.sim.list(), host.store.outbox(0, 1_000)]);
      const machines = host.machines.list();
      const withVm = machines.filter(({ vmId }) => vmId !== undefined);
      expect([...vmIds].sort()).toEqual(withVm.map(({ vmId }) => vmId).sort());
      expect(withVm.map(({ state }) => state).filter((state) => state !== "started")).toEqual([]);
      expect(machines.map(({ state }) => state)).not.toContain("destroying");
      const { running, allocated } = host.host.ledger.sums();
      expect(running.memoryMb).toBe(256 * withVm.length);
      const savedMb = machines.reduce((sum, machine) => sum + savedMbOf(machine), 0);
      const there = machines.filter(({ state }) => state !== "destroyed");
      expect(allocated.diskMb).toBe(1_024 * there.length + savedMb);
      const saved = await host.sim.saved();
      const known = machines.flatMap(({ saved: of, snapshot }) => [of?.vmId, snapshot?.name]);
      expect(saved.map(({ name }) => name).sort()).toEqual(known.filter(Boolean).sort());
      expect(
        machines.filter(({ state, saved: of }) => (state === "suspended") !== (of !== undefined)),
      ).toEqual([]);
      expect(entries.map(({ sequence }) => sequence)).toEqual(entries.map((_, index) => index + 1));
      const reported = machines.map(
        ({ id }) => entries.findLast(({ machine }) => machine.id === id)?.machine.generation,
      );
      expect(reported).toEqual(machines.map(({ generation }) => generation));
      for (const { id } of machines) {
        const events = entries.flatMap(({ machine, event }) =>
          machine.id === id && event ? [event.status === "suspended" ? "exit" : event.type] : [],
        );
        // Each start that is over has its exit, whatever came next; or it was suspended.
        expect(events.filter((type) => type === "start" || type === "exit").join()).not.toContain(
          "start,start",
        );
      }
    },
    { timeout: 20_000, interval: 5 },
  );
}

/** Runs a host until it dies, and closes its files as the kernel would. */
export async function liveUntil(
  death: Death,
  options: { dir: string; images: FakeImages },
  life: Life,
): Promise<void> {
  const left: (() => unknown)[] = [];
  const living = startHost({
    ...options,
    vmm: (sim) => {
      left.push(() => sim.close());
      return death.vmm(sim);
    },
    store: (store) => {
      left.push(() => store.close());
      return death.store(store);
    },
  }).then(async (host) => {
    left.push(() => host.client.close());
    await life(host);
  });
  await Promise.race([living, death.happened]);
  for (const end of left) await end();
}

/** Returns the steps of a life that nothing ends. */
export async function stepsOf(life: Life): Promise<readonly string[]> {
  return (await stepsAfter(async () => {}, life)).steps;
}

/** Returns the steps of a life that nothing ends, and how many of them are of what comes `before` it. */
export async function stepsAfter(
  before: Life,
  life: Life,
): Promise<{ readonly from: number; readonly steps: readonly string[] }> {
  const death = new Death(Number.POSITIVE_INFINITY);
  const host = await startHost({ vmm: (vmm) => death.vmm(vmm), store: (store) => death.store(store) });
  await before(host);
  const from = death.steps.length;
  await life(host);
  await host.host.teardowns.all();
  await host.close();
  return { from, steps: death.steps };
}

/**
 * Returns the steps at which a death leaves something else behind: between the end of one step and
 * the next nothing is done.
 */
export function deathsOf(steps: readonly string[], from = 0): readonly number[] {
  const isSameAsNext = (at: number) =>
    steps[at]?.startsWith("after ") && steps[at + 1]?.startsWith("before ");
  return [...steps.keys()].filter((at) => at >= from && !isSameAsNext(at));
}
