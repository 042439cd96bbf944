import { setTimeout as delay } from "node:timers/promises";
import { UserError } from "../../tools/lib/errors.ts";
import { awaitEnd, isAlive, type ProcessIdentity } from "../../tools/lib/processes.ts";
import type { Layout } from "../settings/layout.ts";
import { type FleetState, isSupervised, readState } from "../supervisor/state.ts";
import { describeStart } from "./describe.ts";

/** From the last state that a supervisor writes to its end. */
const EXIT_TIMEOUT_MS = 5_000;

/**
 * Waits until a fleet that another process brings up is ready.
 *
 * @throws UserError when it fails, or its supervisor ends; the supervisor does not run any more then
 */
export async function awaitReady(
  layout: Layout,
  supervisor: ProcessIdentity,
  say: (detail: string) => void,
  signal: AbortSignal,
): Promise<FleetState> {
  for (;;) {
    signal.throwIfAborted();
    const isRunning = isAlive(supervisor);
    const state = readState(layout.stateFile);
    const isTheirs =
      state?.supervisor.pid === supervisor.pid && state.supervisor.startTicks === supervisor.startTicks;
    if (isTheirs) {
      if (state.phase === "ready" && isSupervised(state)) return state;
      if (state.phase === "failed" || state.phase === "stopped") {
        // Until then it holds the fleet's lock, and whoever mends the problem and tries again would meet it.
        await awaitEnd([supervisor], EXIT_TIMEOUT_MS);
        throw new UserError(describeFailure(state));
      }
      say(describeStart(state));
    }
    if (!isRunning) throw new UserError(`the supervisor ended; see ${layout.supervisorLog}`);
    await delay(100, undefined, { signal }).catch(() => undefined);
  }
}

function describeFailure({ phase, problem }: FleetState): string {
  if (phase === "stopped") return "the fleet was stopped while it came up";
  return problem ?? "the fleet did not start";
}
