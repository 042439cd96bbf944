import { type Outcome, type SimulateOptions, simulate } from "./simulate.ts";

/** The first of so many seeds that violates something, if one does. */
export async function firstFailing(seeds: number, options: SimulateOptions): Promise<Outcome | undefined> {
  for (let seed = 1; seed <= seeds; seed++) {
    const outcome = await simulate(seed, options);
    if (outcome.violations.length > 0) return outcome;
  }
  return undefined;
}
