/** Sets up what tests need, checks what can be checked without running anything, and runs all tests. Arguments go to vitest, and it alone. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { onAbort } from "../../src/lib/runtime/abort.ts";
import { failing, staticChecks } from "../check/checks.ts";
import { main } from "../lib/main.ts";
import { ROOT, tool } from "../lib/paths.ts";
import { Progress } from "../lib/progress.ts";
import { setUp } from "../setup/setup.ts";

await main(async (signal) => {
  const progress = new Progress();
  const chosen = process.argv.slice(2);
  await setUp("test", progress, signal);
  const failed = chosen.length > 0 ? [] : await failing(await staticChecks(progress), progress, signal);
  // One run over all kinds of tests, so that its summary, the last thing printed, is about all of them.
  const child = spawn(tool("node"), [tool("vitest"), "run", ...chosen], {
    cwd: ROOT,
    stdio: "inherit",
    env: { ...process.env, NODE_ENV: "test" },
  });
  using _ = onAbort(signal, () => child.kill("SIGTERM"));
  const [code] = await once(child, "exit");
  if (failed.length > 0) process.stderr.write(`Failed before the tests: ${failed.join(", ")}; see above.\n`);
  return failed.length > 0 ? 1 : (code ?? 1);
});
