import { expect } from "vitest";
import type { MachineState } from "../../../../../src/gen/windhover/machines/v1/machine.ts";
import type { TestHost } from "../../fixture.ts";

export const POLL = { timeout: 20_000, interval: 10 };
export const ENDS = ["sim-exit", "1", "sim-run-for", "5"];

export const policy = (name: string, maxRetries = 0) => ({ restart: { policy: name, maxRetries } });

/** Makes a function that waits until a machine is in a state, and returns the machine. */
export function stateWait(host: () => TestHost) {
  return async (id: string, state: MachineState, on = host()) => {
    await expect.poll(async () => (await on.get(id)).state, POLL).toBe(state);
    return on.get(id);
  };
}
