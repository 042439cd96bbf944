import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Gives back memory that a burst of work has left. Node keeps it otherwise until it is short of memory. Blocks the thread for some 20 ms with a
 * heap of 100 MB: for moments at which nobody waits.
 */
export function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  if (typeof collect === "function") collect();
}
