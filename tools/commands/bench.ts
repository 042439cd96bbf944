/** `npm run bench -- NAME`: runs `bench/NAME.ts` with arguments. Without a name, lists them. */
import { globSync } from "node:fs";
import { basename, join } from "node:path";
import { main, UserError } from "../lib/main.ts";
import { ROOT, tool } from "../lib/paths.ts";
import { runInTerminal } from "../lib/run.ts";
import { setUp } from "../setup/setup.ts";

await main(async (signal, progress) => {
  const [name, ...args] = process.argv.slice(2);
  const names = globSync("bench/*.ts", { cwd: ROOT }).map((file) => basename(file, ".ts"));
  const usage = `npm run bench -- NAME, where NAME is one of: ${names.sort().join(", ")}`;
  if (name === undefined) throw new UserError(usage);
  if (!names.includes(name)) throw new UserError(`There is no ${name}. ${usage}`);
  await setUp("test", progress, signal);
  return runInTerminal(tool("node"), [join(ROOT, "bench", `${name}.ts`), ...args], signal, { cwd: ROOT });
});
