import { setTimeout as delay } from "node:timers/promises";
import { UserError } from "../../tools/lib/errors.ts";
import { isAlive, type ProcessIdentity } from "../../tools/lib/processes.ts";
import type { Layout } from "../settings/layout.ts";
import { type FleetState, isSupervised, readState } from "../supervisor/state.ts";
import { describeStart } from "./describe.ts";

/**
 * Waits until a fleet that another process brings up is ready.
 *
 * @throws UserError when it fails, or its supervisor ends
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
      if (state.phase === "failed") throw new UserError(state.problem ?? "the fleet did not start");
      if (state.phase === "stopped") throw new UserError("the fleet was stopped while it came up");
      say(describeStart(state));
    }
    if (!isRunning) throw new UserError(`the supervisor ended; see ${layout.supervisorLog}`);
    await delay(100, undefined, { signal }).catch(() => undefined);
  }
}
