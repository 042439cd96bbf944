import { type LookupOneOptions, lookup as lookUp } from "node:dns";
import { isIP } from "node:net";

/** How long an address is used before its name is looked up again. */
const KEEP_MS = 30_000;
/** Callers that wait for a look-up. */
const MAX_WAITING = 1_000;

type Callback = (err: NodeJS.ErrnoException | null, address: string, family: number) => void;
export type Lookup = (name: string, options: LookupOneOptions, callback: Callback) => void;

/**
 * Makes a look-up of a single name that remembers the address and asks once at a time. Node asks anew for each datagram, on one of the few
 * threads that files are read on, and has no bound for what waits.
 */
export function cachedLookup(resolve: Lookup = lookUp): Lookup {
  let known: { readonly address: string; readonly family: number; readonly untilMs: number } | undefined;
  let waiting: Callback[] | undefined;
  return (name, options, callback) => {
    const family = isIP(name);
    if (family !== 0) {
      process.nextTick(callback, null, name, family);
    } else if (known && performance.now() < known.untilMs) {
      process.nextTick(callback, null, known.address, known.family);
    } else if (waiting && waiting.length >= MAX_WAITING) {
      process.nextTick(callback, new Error(`too much waits for the address of ${name}`), "", 0);
    } else if (waiting) {
      waiting.push(callback);
    } else {
      waiting = [callback];
      resolve(name, options, (err, address, found) => {
        const all = waiting ?? [];
        waiting = undefined;
        known = err ? undefined : { address, family: found, untilMs: performance.now() + KEEP_MS };
        for (const each of all) each(err, address, found);
      });
    }
  };
}
