/** Simulates a region from seeds, see test/sim/simulate.ts: many, to find one that fails, or one, to read what happens in it. */
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { main, UserError } from "../lib/main.ts";
import { Progress } from "../lib/progress.ts";
import { setUp } from "../setup/setup.ts";

const USAGE = `npm run sim -- --seeds 10000 --from 1   simulates so many seeds, the first of them given, and ends at one that fails
npm run sim -- --seed N                 simulates one and prints what happens`;
/** How often it says how far it is. */
const TELL_MS = 2_000;

await main(async (signal) => {
  const { seed, seeds, from } = readOptions(process.argv.slice(2));
  await setUp("test", new Progress(), signal);
  // Not before: it is made of generated code.
  const { simulate } = await import("../../test/sim/simulate.ts");
  if (seed !== undefined) return replay(await simulate(seed, { isVerbose: true }));
  const startedMs = performance.now();
  const rate = (done: number) =>
    `${(done / ((performance.now() - startedMs) / 1_000)).toFixed(0)} schedules/s`;
  let toldMs = startedMs;
  for (let done = 0; done < seeds; done++) {
    const outcome = await simulate(from + done);
    if (outcome.violations.length > 0) {
      process.stdout.write(`${rate(done + 1)}\n`);
      process.stderr.write(`${failure(outcome.seed, outcome.violations)}\n`);
      return 1;
    }
    if (performance.now() - toldMs < TELL_MS) continue;
    toldMs = performance.now();
    process.stdout.write(`${done + 1} of ${seeds}, ${rate(done + 1)}\n`);
    // Lets a Ctrl-C through.
    await pause(0);
    if (signal.aborted) {
      process.stdout.write(`interrupted after ${done + 1}; go on with --from ${from + done + 1}\n`);
      return 130;
    }
  }
  process.stdout.write(`${seeds} schedules from seed ${from}: every invariant held; ${rate(seeds)}\n`);
  return 0;
});

function replay(outcome: { seed: number; lines: readonly string[]; violations: readonly string[] }): number {
  for (const line of outcome.lines) process.stdout.write(`${line}\n`);
  if (outcome.violations.length === 0) {
    process.stdout.write(`seed ${outcome.seed}: every invariant held\n`);
    return 0;
  }
  process.stderr.write(`${failure(outcome.seed, outcome.violations)}\n`);
  return 1;
}

function failure(seed: number, violations: readonly string[]): string {
  const list = violations.map((violation) => `  ${violation}`).join("\n");
  return `seed ${seed} fails:\n${list}\nReplay it with: npm run sim -- --seed ${seed}`;
}

function readOptions(args: readonly string[]): { seed: number | undefined; seeds: number; from: number } {
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
