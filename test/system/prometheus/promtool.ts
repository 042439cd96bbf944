import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { program } from "../../../tools/lib/programs.ts";

/** How a run of promtool ended, and all that it printed. */
export interface PromtoolResult {
  readonly code: number;
  readonly output: string;
}

/** Runs Debian's promtool in a folder. @param input for its standard input */
export async function promtool(args: readonly string[], cwd: string, input = ""): Promise<PromtoolResult> {
  const child = spawn(program("promtool"), args, { cwd, timeout: 500_000 });
  child.stdin.end(input);
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close"),
  ]);
  return { code, output: `${stdout}${stderr}` };
}
