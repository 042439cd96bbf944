import { parseOptions, wholeNumber } from "./options.ts";

const USAGE = `npm run test:shake -- --times 10   runs the tests so many times, each in another random order
npm run test:shake -- --seed N     runs them in the order of a seed that was printed`;

/** Options of `npm run test:shake`. */
export interface ShakeOptions {
  /** `--times N`, default 1: rounds to run. */
  readonly times: number;
  /** `--seed N`: the order of every round. Undefined: another random one for each. */
  readonly seed: number | undefined;
}

/** Reads the arguments. @throws UserError that shows the usage */
export function shakeOptions(args: readonly string[]): ShakeOptions {
  const { times, seed } = parseOptions(args, ["times", "seed"], USAGE);
  return { times: wholeNumber("times", times, 1, USAGE) ?? 1, seed: wholeNumber("seed", seed, 0, USAGE) };
}
