/** `npm run test:otel`: otel/ with a real collector and a real Jaeger, which Go builds. */
import { join } from "node:path";
import { main, UserError } from "../lib/main.ts";
import { ROOT, tool } from "../lib/paths.ts";
import { findProgram } from "../lib/programs.ts";
import { runInTerminal } from "../lib/run.ts";
import { setUp } from "../setup/setup.ts";

await main(async (signal, progress) => {
  if (findProgram("go") === undefined)
    throw new UserError("These tests need Go 1.26 or later: https://go.dev/dl. npm test runs without.");
  await setUp("test", progress, signal);
  const config = join(ROOT, "test/otel/vitest.config.ts");
  const args = [tool("vitest"), "run", "--config", config, "--root", ROOT, ...process.argv.slice(2)];
  return runInTerminal(tool("node"), args, signal, { cwd: ROOT, env: { ...process.env, NODE_ENV: "test" } });
});
