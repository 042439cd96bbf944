import { expect } from "vitest";
import type { TestHost } from "./fixture.ts";

/** Removes all machines of a host, and expects that nothing is left of any. */
export async function expectCleanAfterRemoval(host: TestHost): Promise<void> {
  host.images.fault = undefined;
  for (const { id, state } of host.machines.list()) {
    if (state !== "destroyed") await host.destroy(id, { force: true });
  }
  host.host.ledger.release(host.host.ledger.holds().map(({ reservationId }) => reservationId));
  await host.host.teardowns.all();
  expect(await host.sim.list()).toEqual([]);
  expect((await host.getHost()).status?.allocated).toEqual({ cpus: 0, memoryMb: 0n, diskMb: 0n });
}
