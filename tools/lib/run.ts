import { type SpawnOptions, spawn } from "node:child_process";
import { text } from "node:stream/consumers";

/** What {@link run} may be told. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal | undefined;
  /** A descriptor the program finds open as number 3. */
  readonly descriptor?: number;
  /** Its own session, so that Ctrl-C in the terminal does not reach it. */
  readonly isDetached?: boolean;
}

/** Runs a program to its end and returns what it printed. Rejects with that when it fails. */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const settings: SpawnOptions = {
    cwd: options.cwd,
    env: options.env ?? process.env,
    detached: options.isDetached ?? false,
    stdio: ["ignore", "pipe", "pipe", ...(options.descriptor === undefined ? [] : [options.descriptor])],
    ...(options.signal ? { signal: options.signal } : {}),
  };
  const child = spawn(command, args, settings);
  const ended = new Promise<string>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(signal ?? String(code)));
  });
  const [stdout, stderr, end] = await Promise.all([
    child.stdout ? text(child.stdout) : "",
    child.stderr ? text(child.stderr) : "",
    ended,
  ]);
  if (end === "0") return stdout;
  const output = `${stdout}${stderr}`.trimEnd();
  throw new Error(`${[command, ...args].join(" ")} failed (${end})${output === "" ? "" : `:\n${output}`}`);
}
