/** `hover`. A command's code is loaded when it runs: loading is most of a quick command's time. */
import { constants, enableCompileCache } from "node:module";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");
// Keeps compiled code between runs, in the project's own folder, so that nobody else can write it.
const cache = enableCompileCache({ directory: join(root, "node_modules/.cache/hover") });
const { main } = await import("./run.ts");
process.exitCode = await main(process.argv.slice(2), process.env);
// A broken cache only costs time.
if (cache.status === constants.compileCacheStatus.FAILED && process.env["HOVER_DEBUG"]) {
  process.stderr.write(`hover: the compile cache is off: ${cache.message}\n`);
}
