/** Runs `bench/NAME.ts` with the arguments after it: `npm run bench -- NAME`. Without a name, lists them. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync } from "node:fs";
import { basename, join } from "node:path";
import { onAbort } from "../../src/lib/runtime/abort.ts";
import { main, UserError } from "../lib/main.ts";
import { ROOT, tool } from "../lib/paths.ts";
import { Progress } from "../lib/progress.ts";
import { setUp } from "../setup/setup.ts";

await main(async (signal) => {
  const [name, ...args] = process.argv.slice(2);
  const names = globSync("bench/*.ts", { cwd: ROOT }).map((file) => basename(file, ".ts"));
  const usage = `npm run bench -- NAME, where NAME is one of: ${names.sort().join(", ")}`;
  if (name === undefined) throw new UserError(usage);
  const file = join(ROOT, "bench", `${name}.ts`);
  if (!names.includes(name) || !existsSync(file)) throw new UserError(`There is no ${name}. ${usage}`);
  await setUp("test", new Progress(), signal);
  const child = spawn(tool("node"), [file, ...args], { cwd: ROOT, stdio: "inherit" });
  // Ctrl-C reaches it through the terminal; other signals only through us.
  using _ = onAbort(signal, () => child.kill("SIGTERM"));
  const [code] = await once(child, "exit");
  return code ?? 1;
});
