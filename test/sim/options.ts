import { UserError } from "../../tools/lib/errors.ts";
import { parseOptions, wholeNumber } from "../../tools/lib/options.ts";

const USAGE = `npm run sim -- --seeds 10000 --from 1   simulates so many seeds, the first of them given, and ends at one that fails
npm run sim -- --seed N                 simulates one and prints what happens`;
/** What `npm run sim` takes: one seed to replay, or many to try. */
export interface SimOptions {
  /** `--seed N` */
  readonly seed: number | undefined;
  /** `--seeds N`, default 1,000. */
  readonly seeds: number;
  /** `--from N`, default 1. */
  readonly from: number;
}

/** Reads the arguments. @throws UserError that shows the usage */
export function simOptions(args: readonly string[]): SimOptions {
  const values = parseOptions(args, ["seed", "seeds", "from"], USAGE);
  const seed = wholeNumber("seed", values.seed, 0, USAGE);
  if (seed !== undefined && (values.seeds ?? values.from) !== undefined)
    throw new UserError(`--seed is one seed; --seeds and --from are many.\n${USAGE}`);
  const seeds = wholeNumber("seeds", values.seeds, 1, USAGE) ?? 1_000;
  return { seed, seeds, from: wholeNumber("from", values.from, 0, USAGE) ?? 1 };
}
