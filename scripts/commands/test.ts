/** Sets up what tests need and runs them all: unit, contract, system, end to end. Arguments go to vitest. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { main } from "../lib/main.ts";
import { ROOT, tool } from "../lib/paths.ts";
import { Progress } from "../lib/progress.ts";
import { setUp } from "../setup/setup.ts";

await main(async (signal) => {
  await setUp("test", new Progress(), signal);
  // One run over all kinds of tests, so that its summary, the last thing printed, is about all of them.
  const child = spawn(tool("node"), [tool("vitest"), "run", ...process.argv.slice(2)], {
    cwd: ROOT,
    stdio: "inherit",
    env: { ...process.env, NODE_ENV: "test" },
  });
  signal.addEventListener("abort", () => child.kill("SIGTERM"), { once: true });
  const [code] = await once(child, "exit");
  return code ?? 1;
});
