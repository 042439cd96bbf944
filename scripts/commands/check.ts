/** What a change must pass before anything slower is worth running: format, lint, types, contracts, unit tests. */
import { styleText } from "node:util";
import { breakingBase } from "../lib/breaking-base.ts";
import { main } from "../lib/main.ts";
import { ROOT, tool } from "../lib/paths.ts";
import { Progress, seconds } from "../lib/progress.ts";
import { run } from "../lib/run.ts";
import { generate } from "../setup/generate.ts";

interface Check {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

const STATIC: readonly Check[] = [
  { name: "format and lint", command: ["biome", "ci", "--colors=off"] },
  { name: "types", command: ["tsc", "-p", "tsconfig.json", "--pretty", "false"] },
  { name: "contracts: lint", command: ["buf", "lint"] },
];
const UNIT_TESTS: Check = {
  name: "unit tests",
  command: ["vitest", "run", "--project", "unit", "--reporter", "dot"],
};

await main(async (signal) => {
  const progress = new Progress();
  await progress.step("generated code", () => generate(signal));
  const base = await breakingBase();
  if (base === undefined) progress.say("- contracts: breaking: no earlier version here to compare with");
  // The unit tests take as long as all the rest; each half keeps one processor busy.
  const halves = [base === undefined ? STATIC : [...STATIC, breaking(base)], [UNIT_TESTS]];
  const failures = (await Promise.all(halves.map((half) => failing(half, progress, signal)))).flat();
  progress.say(
    failures.length === 0 ? `All well in ${progress.elapsed()}.` : `Failed: ${failures.join(", ")}.`,
  );
  return failures.length === 0 ? 0 : 1;
});

function breaking(base: string): Check {
  return { name: "contracts: breaking", command: ["buf", "breaking", "--against", `.git#ref=${base}`] };
}

/** Runs checks one after the other; returns the names of those that fail. */
async function failing(checks: readonly Check[], progress: Progress, signal: AbortSignal): Promise<string[]> {
  const failures: string[] = [];
  for (const check of checks) {
    signal.throwIfAborted();
    if (!(await passes(check, progress, signal))) failures.push(check.name);
  }
  return failures;
}

/** Shows one line for a check that passes, and all it said for one that does not. */
async function passes(check: Check, progress: Progress, signal: AbortSignal): Promise<boolean> {
  const startedAt = performance.now();
  const [name, ...args] = check.command;
  const took = () => `${check.name} ${seconds(performance.now() - startedAt)}`;
  try {
    await run(tool(name), args, { cwd: ROOT, signal, env: { ...process.env, NO_COLOR: "1" } });
    progress.say(`${styleText("green", "✓")} ${took()}`);
    return true;
  } catch (error) {
    signal.throwIfAborted();
    progress.say(`${styleText("red", "✗")} ${took()}\n${error instanceof Error ? error.message : error}`);
    return false;
  }
}
