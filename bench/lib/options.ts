import { parseArgs } from "node:util";
import { UserError } from "../../tools/lib/main.ts";

const MOST_RUNS = 100_000;

/** Reads `--runs N` and `--readme`, the options of every benchmark. @throws UserError */
export function benchOptions(args: readonly string[], defaultRuns: number) {
  const known = { runs: { type: "string" }, readme: { type: "boolean" } } as const;
  let values: { runs?: string | undefined; readme?: boolean | undefined };
  try {
    ({ values } = parseArgs({ args: [...args], options: known }));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UserError(`${why} The options are --runs N and --readme.`, { cause });
  }
  const runs = Number(values.runs ?? defaultRuns);
  if (!Number.isInteger(runs) || runs < 1 || runs > MOST_RUNS)
    throw new UserError(`--runs takes a number from 1 to ${MOST_RUNS}; it is "${values.runs}".`);
  return { runs, readme: values.readme === true };
}
