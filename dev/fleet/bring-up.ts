import type { Progress } from "../../tools/lib/progress.ts";
import type { FleetOptions } from "../settings/fleet-options.ts";
import { takeLock } from "../supervisor/lock.ts";
import { type FleetState, readState } from "../supervisor/state.ts";
import { describeAddresses } from "./describe.ts";
import { startSupervisor } from "./detached.ts";
import { takeDown } from "./down.ts";
import { localFleet } from "./local.ts";
import { awaitReady } from "./watch.ts";

/** Brings the local fleet up in the background, unless it is up already. */
export async function bringUp(
  options: FleetOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<FleetState> {
  const { layout } = localFleet(options);
  const lock = await takeLock(layout.folder);
  await lock?.release();
  const isUp = lock === undefined;
  let supervisor = isUp ? readState(layout.stateFile)?.supervisor : undefined;
  if (supervisor === undefined) {
    if (isUp) throw new Error(`another process holds the fleet in ${layout.folder}`);
    supervisor = startSupervisor(layout, options);
  }
  const ours = supervisor;
  try {
    const state = await progress.step("fleet", (say) => awaitReady(layout, ours, say, signal));
    if (isUp && isDifferent(options, state)) {
      const regions = state.regions.map(({ region }) => region).join(", ");
      progress.say(
        `Windhover is up with ${state.hosts.length} hosts in ${regions}; to change that, npm run down first.`,
      );
    }
    progress.say(isUp ? "Windhover is up already." : `Windhover is up (${progress.elapsed()}).`);
    progress.say(describeAddresses(state, layout));
    return state;
  } catch (cause) {
    if (!isUp && signal.aborted) await progress.step("stopping", (say) => takeDown(layout, say));
    throw cause;
  }
}

/** Whether the options differ from what runs. */
function isDifferent({ hosts, regions, schedulers }: FleetOptions, state: FleetState): boolean {
  const names = state.regions.map(({ region }) => region);
  return (
    (hosts !== undefined && hosts * names.length !== state.hosts.length) ||
    (regions !== undefined && regions.join() !== names.join()) ||
    (schedulers !== undefined && schedulers !== state.regions[0]?.schedulers.length)
  );
}
