import { parseArgs } from "node:util";
import { UserError } from "../../tools/lib/main.ts";

const MOST_RUNS = 100_000;

/**
 * Reads the options of every benchmark: `--runs N` and `--readme`. One with parts also takes
 * `--only A,B`. @throws UserError
 */
export function benchOptions(args: readonly string[], defaultRuns: number, parts: readonly string[] = []) {
  const known = { runs: { type: "string" }, readme: { type: "boolean" }, only: { type: "string" } } as const;
  let values: { runs?: string | undefined; readme?: boolean | undefined; only?: string | undefined };
  try {
    ({ values } = parseArgs({ args: [...args], options: known }));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UserError(
      `${why} The options are --runs N${parts.length === 0 ? "" : ", --only A,B"} and --readme.`,
      { cause },
    );
  }
  const runs = Number(values.runs ?? defaultRuns);
  if (!Number.isInteger(runs) || runs < 1 || runs > MOST_RUNS)
    throw new UserError(`--runs takes a number from 1 to ${MOST_RUNS}; it is "${values.runs}".`);
  if (values.only !== undefined && parts.length === 0)
    throw new UserError("--only is for benchmarks with parts. The options are --runs N and --readme.");
  const only = values.only?.split(",") ?? parts;
  const unknown = only.filter((part) => !parts.includes(part));
  if (unknown.length > 0)
    throw new UserError(`--only takes some of ${parts.join(", ")}; not ${unknown.join(", ")}.`);
  return { runs, readme: values.readme === true, only };
}
