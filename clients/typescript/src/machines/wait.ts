import type { Caller } from "../calls/caller.ts";
import { isWindhoverError } from "../calls/errors.ts";
import { MachinesServiceClient } from "../gen/windhover/machines/v1/machines.ts";
import { duration } from "../values/duration.ts";
import { type Machine, machineFromProto, stateToProto } from "../values/machine.ts";
import type { WaitOptions } from "./requests.ts";
import { DEFAULTS } from "./timeouts.ts";

/** How long the api waits at most in one call. */
const LONGEST_MS = 300_000;
/** For the answer to arrive after the wait. */
const MARGIN_MS = 5_000;

/** Waits for a state, in several calls when it takes long. */
export async function waitFor(caller: Caller, machineId: string, options: WaitOptions): Promise<Machine> {
  const { states = [], instanceId = "", afterEventId = "", settled = false, ready = false } = options;
  const { timeoutMs = DEFAULTS.waitMs, signal } = options;
  const until = performance.now() + timeoutMs;
  const which = { instanceId, afterEventId, settled, acrossCalls: false, ready };
  const common = { machineId, states: states.map(stateToProto), ...which };
  for (;;) {
    const leftMs = until - performance.now();
    const askedMs = Math.max(1, Math.min(leftMs, LONGEST_MS));
    const message = { ...common, timeout: duration(Math.ceil(askedMs)) };
    try {
      const scope = { timeoutMs: askedMs + MARGIN_MS, signal, retry: "always" } as const;
      const method = (client: MachinesServiceClient) => client.waitMachine;
      const { machine } = await caller.unary(MachinesServiceClient, method, message, scope);
      return machineFromProto(machine);
    } catch (err) {
      if (!isWindhoverError(err, "WAIT_TIMEOUT") || performance.now() >= until) throw err;
    }
  }
}
