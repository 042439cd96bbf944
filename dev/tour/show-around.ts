import { once } from "node:events";
import type { Progress } from "../../tools/lib/progress.ts";
import { bringUp } from "../fleet/bring-up.ts";
import { describeStart } from "../fleet/describe.ts";
import { FleetBusyError } from "../fleet/fleet.ts";
import { localFleet } from "../fleet/local.ts";
import type { FleetOptions } from "../settings/fleet-options.ts";
import { readState } from "../supervisor/state.ts";
import { epilogue } from "./epilogue.ts";
import { tour } from "./tour.ts";

/**
 * Runs a fleet in the foreground, or uses one that is up in the background, with the tour on it.
 */
export async function showAround(
  options: FleetOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const fleet = localFleet(options);
  try {
    await progress.step("fleet", async (say) => {
      fleet.on("change", (state) => say(describeStart(state)));
      await fleet.start(signal);
    });
  } catch (cause) {
    if (!(cause instanceof FleetBusyError)) throw cause;
    const state = await bringUp(options, progress, signal);
    const machine = await tour(state, fleet.layout, progress, signal);
    progress.say(
      `${epilogue(state, fleet.layout, machine)}\n\nThis fleet runs in the background: npm run down stops it.`,
    );
    return;
  }
  const heartbeat = setInterval(() => undefined, 60_000);
  try {
    const state = readState(fleet.layout.stateFile);
    if (state === undefined) throw new Error(`${fleet.layout.stateFile} cannot be read`);
    const machine = await tour(state, fleet.layout, progress, signal);
    progress.say(
      `${epilogue(state, fleet.layout, machine)}\n\nReady after ${progress.elapsed()}. Ctrl-C stops everything.`,
    );
    if (!signal.aborted) await once(signal, "abort");
  } finally {
    if (signal.aborted) progress.say("\nStopping machines and services ...");
    await progress.step("stopping", () => fleet.stop());
    clearInterval(heartbeat);
    progress.say("Stopped. Machines and images are kept; npm start brings them back.");
  }
}
