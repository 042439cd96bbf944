/** What a change must pass before anything slower is worth running: format, lint, types, contracts, unit tests. */
import { type Check, failing, staticChecks } from "../check/checks.ts";
import { main } from "../lib/main.ts";
import { Progress } from "../lib/progress.ts";
import { generate } from "../setup/generate.ts";

const UNIT_TESTS: Check = {
  name: "unit tests",
  command: ["vitest", "run", "--project", "unit", "--project", "unit-global", "--reporter", "dot"],
};

await main(async (signal) => {
  const progress = new Progress();
  await progress.step("generated code", () => generate(signal));
  // The unit tests take as long as all the rest; each half keeps one processor busy.
  const halves = [await staticChecks(progress), [UNIT_TESTS]];
  const failures = (await Promise.all(halves.map((half) => failing(half, progress, signal)))).flat();
  progress.say(
    failures.length === 0 ? `All well in ${progress.elapsed()}.` : `Failed: ${failures.join(", ")}.`,
  );
  return failures.length === 0 ? 0 : 1;
});
