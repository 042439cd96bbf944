import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { onAbort } from "../../src/lib/runtime/abort.ts";
import { FIRST_LINE } from "../lib/program.ts";

/** A program that has said its first line. */
export interface Spoken {
  readonly child: ChildProcess;
  /** From just before it was spawned until its line was read, in milliseconds. */
  readonly ms: number;
}

const TIMEOUT_MS = 120_000;
const KEPT_LINES = 20;

/**
 * Runs a command until the benchmark's program, wherever it is inside, has written its first line to the command's standard output. When
 * it ends before that, or does not come to it in two minutes, it is killed and its last lines are told.
 */
export async function untilFirstLine(
  command: readonly [string, ...string[]],
  signal: AbortSignal,
): Promise<Spoken> {
  const [program, ...args] = command;
  signal.throwIfAborted();
  const startedAt = performance.now();
  // A session of its own: Ctrl-C in the terminal is for us, and we end it.
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  const ended = new Promise<string>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, killer) => resolve(killer ?? String(code)));
  });
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  using _ = onAbort(limit, () => child.kill("SIGKILL"));
  const last: string[] = [];
  try {
    return await new Promise<Spoken>((resolve, reject) => {
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on("line", (line) => {
          if (line.includes(FIRST_LINE)) resolve({ child, ms: performance.now() - startedAt });
          last.push(line);
          if (last.length > KEPT_LINES) last.shift();
        });
      }
      ended.then(
        (how) => reject(new Error(`${program} ended (${how}) without a line:\n${last.join("\n")}`)),
        reject,
      );
    });
  } catch (cause) {
    signal.throwIfAborted();
    throw cause;
  } finally {
    ended.catch(() => {});
  }
}

/** Ends a command at once and waits until it has gone. */
export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}
