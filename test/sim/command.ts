/** Simulates a region from seeds, see test/sim/simulate.ts: many, to find one that fails, or one, to read what happens in it. */
import { setTimeout as pause } from "node:timers/promises";
import { main } from "../../tools/lib/main.ts";
import { Progress } from "../../tools/lib/progress.ts";
import { setUp } from "../../tools/setup/setup.ts";
import { simOptions } from "./options.ts";

/** How often it says how far it is. */
const TELL_MS = 2_000;

await main(async (signal) => {
  const { seed, seeds, from } = simOptions(process.argv.slice(2));
  await setUp("test", new Progress(), signal);
  // Not before: it is made of generated code.
  const { simulate } = await import("./simulate.ts");
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
