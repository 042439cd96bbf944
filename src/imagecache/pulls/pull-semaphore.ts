import { Fault } from "../../lib/faults/fault.ts";
import { Semaphore } from "../../lib/runtime/semaphore.ts";

/** Makes a semaphore that refuses one too many with RESOURCE_EXHAUSTED / `TOO_MANY_PULLS`. */
export function pullSemaphore(permits: number, maxWaiting: number): Semaphore {
  const full = () => {
    const limit = String(maxWaiting);
    const message = `${limit} pulls are waiting on this host already; try again later`;
    return new Fault("RESOURCE_EXHAUSTED", "TOO_MANY_PULLS", message, { limit }, { retryAfterMs: 5_000 });
  };
  return new Semaphore({ permits, maxWaiting, full });
}
