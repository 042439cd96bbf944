import { abortable } from "../../lib/runtime/abort.ts";
import { LaunchError } from "./vmm.ts";

/**
 * Waits until what is to be run has been recorded; nothing of the workload may run before. Rejects with LaunchError `not_recorded`, or
 * with the reason of `signal`.
 */
export async function untilRecorded(ready: Promise<void> | undefined, signal: AbortSignal): Promise<void> {
  if (!ready) return;
  const recorded = ready.catch((err: unknown) => {
    throw new LaunchError("vmm", "not_recorded", "what was to be run could not be recorded", err);
  });
  await abortable(recorded, signal);
}
