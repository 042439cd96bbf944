import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { onAbort } from "../../src/lib/runtime/abort.ts";
import { FIRST_LINE } from "../lib/program.ts";

const TIMEOUT_MS = 120_000;
const KEPT_LINES = 20;

/**
 * Runs a command until its standard output has the first line of the benchmark's program. Resolves
 * with the running command and the milliseconds since it was spawned. Rejects with its last lines
 * when it ends before, and kills it after two minutes.
 */
export async function untilFirstLine(
  [program = "", ...args]: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly child: ChildProcess; readonly ms: number }> {
  signal.throwIfAborted();
  const startedAt = performance.now();
  // In a session of its own, so that Ctrl-C in the terminal does not reach it.
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  using _ = onAbort(limit, () => child.kill("SIGKILL"));
  const last: string[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on("line", (line) => {
      if (line.includes(FIRST_LINE)) resolve(performance.now() - startedAt);
      last.push(line);
      if (last.length > KEPT_LINES) last.shift();
    });
  child.once("error", reject);
  child.once("exit", (code, killer) =>
    reject(new Error(`${program} ended (${killer ?? code}) without a line:\n${last.join("\n")}`)),
  );
  try {
    return { child, ms: await promise };
  } catch (cause) {
    signal.throwIfAborted();
    throw cause;
  }
}
