import { execFile } from "node:child_process";
import { promisify } from "node:util";

const TIMEOUT_MS = 10_000;
const ARGUMENTS = ["--unshare-all", "--unshare-user", "--ro-bind", "/", "/", "true"];

/** Tries bubblewrap with all namespaces. Returns what is wrong; undefined when it works. */
export async function namespaceProblem(): Promise<string | undefined> {
  try {
    await promisify(execFile)("bwrap", ARGUMENTS, { timeout: TIMEOUT_MS });
    return undefined;
  } catch (err) {
    const [first = "", second = ""] = (err instanceof Error ? err.message : String(err)).split("\n");
    return second || first;
  }
}
