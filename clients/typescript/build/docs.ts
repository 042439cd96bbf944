/** `npm run docs` in this folder: writes the reference to `docs`. Fetches typedoc at first. */
import { join } from "node:path";
import { main } from "../../../tools/lib/main.ts";
import { run } from "../../../tools/lib/run.ts";
import { generate } from "../../../tools/setup/generate.ts";
import { PACKAGE } from "./package.ts";

await main(async (signal, progress) => {
  const cwd = join(PACKAGE, "reference");
  await progress.step("typedoc", () => run("npm", ["ci", "--ignore-scripts", "--no-audit"], { cwd, signal }));
  await progress.step("docs", async () => {
    await generate(signal);
    // Fails on links and types that lead nowhere.
    await run(join(cwd, "node_modules/.bin/typedoc"), [], { cwd, signal });
  });
  progress.say(`docs: made in ${progress.elapsed()}`);
});
