import { type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal | undefined;
  /** A descriptor that the program finds open as number 3. */
  readonly descriptor?: number;
  /** Runs the program in a session of its own, so that Ctrl-C in the terminal does not reach it. */
  readonly isDetached?: boolean;
}

/** Runs a program to its end and returns what it printed. Rejects with that when it fails. */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { descriptor, isDetached: detached = false, signal, cwd, env = process.env } = options;
  const stdio: SpawnOptions["stdio"] = [
    "ignore",
    "pipe",
    "pipe",
    ...(descriptor === undefined ? [] : [descriptor]),
  ];
  const child = spawn(command, args, { cwd, env, detached, stdio, ...(signal ? { signal } : {}) });
  const [stdout, stderr, [code, killer]] = await Promise.all([
    child.stdout ? text(child.stdout) : "",
    child.stderr ? text(child.stderr) : "",
    once(child, "exit"),
  ]);
  if (code === 0) return stdout;
  const output = `${stdout}${stderr}`.trimEnd();
  const what = `${[command, ...args].join(" ")} failed (${killer ?? code})`;
  throw new Error(output === "" ? what : `${what}:\n${output}`);
}

/**
 * Runs a program that shares our terminal, through which Ctrl-C reaches it, and returns its exit
 * code.
 *
 * @param signal ends it with SIGTERM
 */
export async function runInTerminal(
  command: string,
  args: readonly string[],
  signal: AbortSignal,
  options: Pick<SpawnOptions, "cwd" | "env" | "stdio"> = {},
): Promise<number> {
  const child = spawn(command, args, { stdio: "inherit", ...options });
  const stop = () => child.kill("SIGTERM");
  signal.addEventListener("abort", stop);
  try {
    const [code] = await once(child, "exit");
    return code ?? 1;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
