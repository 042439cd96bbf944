/** `npm test`: sets up, runs checks and tests. With arguments, which go to vitest: no checks. */
import { failing, STATIC_CHECKS } from "../check/checks.ts";
import { main } from "../lib/main.ts";
import { ROOT, tool } from "../lib/paths.ts";
import { runInTerminal } from "../lib/run.ts";
import { setUp } from "../setup/setup.ts";

await main(async (signal, progress) => {
  const chosen = process.argv.slice(2);
  await setUp("test", progress, signal);
  const failed = chosen.length > 0 ? [] : await failing([STATIC_CHECKS], progress, signal);
  // One run over all kinds of tests, so that its summary, the last thing printed, is about all of
  // them.
  const vitest = [tool("vitest"), "run", ...chosen];
  const env = { ...process.env, NODE_ENV: "test" };
  const code = await runInTerminal(tool("node"), vitest, signal, { cwd: ROOT, env });
  if (failed.length === 0) return code;
  process.stderr.write(`Failed before the tests: ${failed.join(", ")}; see above.\n`);
  return 1;
});
