import { LaunchError } from "./vmm.ts";

/** Why the listener of a wait that is over goes. Given, because without a reason an abort makes an exception, stack and all. */
const OVER = "the wait is over";

/**
 * Waits until what is to be run has been recorded; nothing of the workload may run before. Rejects with LaunchError `not_recorded`, or
 * with the reason of `signal`.
 */
export async function untilRecorded(ready: Promise<void> | undefined, signal: AbortSignal): Promise<void> {
  if (!ready) return;
  signal.throwIfAborted();
  const over = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    const options = { once: true, signal: over.signal };
    signal.addEventListener("abort", () => reject(signal.reason), options);
  });
  const recorded = ready.catch((err: unknown) => {
    throw new LaunchError("vmm", "not_recorded", "what was to be run could not be recorded", err);
  });
  try {
    await Promise.race([recorded, aborted]);
  } finally {
    over.abort(OVER);
  }
}
