import { setImmediate } from "node:timers/promises";
import { startLoop } from "../../lib/runtime/lifecycle.ts";
import { sleep } from "../../lib/runtime/wait.ts";
import type { TraceStore } from "./store.ts";

const EVERY_MS = 250;
const AFTER_FAILURE_MS = 10_000;

/** Seals traces that are due in the background, between requests. Returns what stops it. */
export function startSealing(store: TraceStore): () => Promise<void> {
  return startLoop(
    EVERY_MS,
    0,
    async (signal) => {
      try {
        while (!signal.aborted && store.sealDue()) await setImmediate();
      } catch (err) {
        // The disk is full, say: the loop logs it, and not four times a second.
        await sleep(AFTER_FAILURE_MS, signal);
        throw err;
      }
    },
    { name: "sealing" },
  );
}
