import { parseArgs } from "node:util";
import { UserError } from "./main.ts";

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

/**
 * Reads the arguments.
 *
 * @throws UserError that shows how it is used
 */
export function simOptions(args: readonly string[]): SimOptions {
  const { values } = parse(args);
  const seed = whole("seed", values.seed, 0);
  if (seed !== undefined && (values.seeds ?? values.from) !== undefined)
    throw new UserError(`--seed is one seed; --seeds and --from are many.\n${USAGE}`);
  return { seed, seeds: whole("seeds", values.seeds, 1) ?? 1_000, from: whole("from", values.from, 0) ?? 1 };
}

function whole(name: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text) && Number(text) >= least) return Number(text);
  throw new UserError(`--${name} takes a whole number from ${least} on; it is "${text}".\n${USAGE}`);
}

function parse(args: readonly string[]) {
  const string = { type: "string" } as const;
  try {
    return parseArgs({ args: [...args], options: { seed: string, seeds: string, from: string } });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UserError(`${why}\n${USAGE}`, { cause });
  }
}
