/**
 * `hover`: the command line. Talks to the api over gRPC and to the trace receiver over HTTP, and owns nothing. Each command's code, and what
 * it imports, is loaded when the command is run: starting up is most of what a quick command takes.
 */
import { constants, enableCompileCache } from "node:module";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");
// Types are stripped and code is compiled once, not each time. In the project's own folder, so that nobody else can write it.
const cache = enableCompileCache({ directory: join(root, "node_modules/.cache/hover") });
const { main } = await import("./run.ts");
process.exitCode = await main(process.argv.slice(2), process.env);
// A broken cache only costs time.
if (cache.status === constants.compileCacheStatus.FAILED && process.env["HOVER_DEBUG"]) {
  process.stderr.write(`hover: the compile cache is off: ${cache.message}\n`);
}
