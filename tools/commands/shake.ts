/** `npm run test:shake`: runs the tests in random order beside two busy loops. */
import { randomInt } from "node:crypto";
import { closeSync, mkdirSync, openSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { startBusyLoops } from "../lib/busy-loops.ts";
import { main } from "../lib/main.ts";
import { dataFolder, ROOT, tool } from "../lib/paths.ts";
import { seconds } from "../lib/progress.ts";
import { runInTerminal } from "../lib/run.ts";
import { shakeOptions } from "../lib/shake-options.ts";
import { setUp } from "../setup/setup.ts";

const PROJECTS = ["unit", "unit-global", "contract", "system"];

await main(async (signal, progress) => {
  const { times, seed } = shakeOptions(process.argv.slice(2));
  await setUp("test", progress, signal);
  const folder = join(dataFolder(), "shake");
  mkdirSync(folder, { recursive: true });
  using _ = startBusyLoops(2);
  let passed = 0;
  for (let round = 1; round <= times; round += 1) {
    const order = seed ?? randomInt(1, 1_000_000);
    const output = join(folder, `round-${round}-seed-${order}.log`);
    const startedAt = performance.now();
    const hasPassed = await runTests(order, output, signal);
    signal.throwIfAborted();
    const took = seconds(performance.now() - startedAt);
    if (hasPassed) passed += 1;
    progress.say(
      `seed ${order}: ${hasPassed ? "passed" : "failed"} in ${took}${hasPassed ? "" : `; see ${output}`}`,
    );
    if (hasPassed) rmSync(output);
  }
  progress.say(`${passed} passed, ${times - passed} failed`);
  return passed === times ? 0 : 1;
});

/** Runs all tests once, in the order of a seed; returns whether they passed. */
async function runTests(seed: number, output: string, signal: AbortSignal): Promise<boolean> {
  const file = openSync(output, "w");
  const args = [
    ...PROJECTS.flatMap((project) => ["--project", project]),
    ...["--sequence.shuffle.files", "--sequence.shuffle.tests", "--sequence.seed", String(seed)],
  ];
  const code = await runInTerminal(tool("node"), [tool("vitest"), "run", ...args], signal, {
    cwd: ROOT,
    stdio: ["ignore", file, file],
    // More than there are processors: the busy loops leave each little, and waits overlap.
    env: {
      ...process.env,
      NODE_ENV: "test",
      NO_COLOR: "1",
      TEST_WORKERS: String(3 * availableParallelism()),
    },
  });
  closeSync(file);
  return code === 0;
}
