import { setImmediate } from "node:timers/promises";
import { startLoop } from "../../lib/runtime/lifecycle.ts";
import type { TraceStore } from "./store.ts";

const EVERY_MS = 250;

/** Seals traces that are due in the background, between requests. Returns what stops it. */
export function startSealing(store: TraceStore): () => Promise<void> {
  return startLoop(
    EVERY_MS,
    0,
    async (signal) => {
      while (!signal.aborted && store.sealDue()) await setImmediate();
    },
    { name: "sealing" },
  );
}
