import { parseArgs } from "node:util";
import { UserError } from "../../tools/lib/main.ts";

/** What every benchmark takes. */
export interface BenchOptions {
  /** How often the quickest thing is measured; the slow ones follow from it. */
  readonly runs: number;
  /** Put the outcome into bench/README.md. */
  readonly readme: boolean;
}

const MOST_RUNS = 100_000;

/** Reads `--runs N` and `--readme`. */
export function benchOptions(args: readonly string[], defaultRuns: number): BenchOptions {
  const { runs, readme } = parse(args);
  if (runs === undefined) return { runs: defaultRuns, readme: readme === true };
  const count = Number(runs);
  if (!Number.isInteger(count) || count < 1 || count > MOST_RUNS) {
    throw new UserError(`--runs takes a number from 1 to ${MOST_RUNS}; it is "${runs}".`);
  }
  return { runs: count, readme: readme === true };
}

function parse(args: readonly string[]): { runs?: string | undefined; readme?: boolean | undefined } {
  try {
    return parseArgs({ args: [...args], options: { runs: { type: "string" }, readme: { type: "boolean" } } })
      .values;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UserError(`${why} Known here: --runs N, --readme.`, { cause });
  }
}

/** A share of the runs, for what takes longer: `runs / divisor`, but at least `least`, and never more than `runs`. */
export function scaled(runs: number, divisor: number, least: number): number {
  return Math.min(runs, Math.max(least, Math.round(runs / divisor)));
}
