/** `npm run check`: format, lint, types, imports, documents, contracts and unit tests. */
import { type Check, failing, STATIC_CHECKS } from "../check/checks.ts";
import { main } from "../lib/main.ts";
import { generate } from "../setup/generate.ts";

const UNIT_TESTS: Check = {
  name: "unit tests",
  command: ["vitest", "run", "--project", "unit", "--project", "unit-global", "--reporter", "dot"],
};

await main(async (signal, progress) => {
  await progress.step("generated code", () => generate(signal));
  // The unit tests take as long as all the rest; each half keeps one processor busy.
  const halves = [STATIC_CHECKS, [UNIT_TESTS]];
  const failures = await failing(halves, progress, signal);
  const isGood = failures.length === 0;
  progress.say(isGood ? `All checks passed in ${progress.elapsed()}.` : `Failed: ${failures.join(", ")}.`);
  return isGood ? 0 : 1;
});
