import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** Tells a person what is going on, a line at a time. */
export type Log = (line: string) => void;

const execute = promisify(execFile);
const MAX_OUTPUT = 1024 * 1024;

/** Runs a program to its end and returns what it wrote. Rejects with its complaint when it fails or takes too long. */
export async function run(
  program: string,
  args: readonly string[],
  options: {
    readonly timeoutMs: number;
    readonly cwd?: string;
    readonly env?: Readonly<Record<string, string>>;
  },
): Promise<string> {
  try {
    const { stdout } = await execute(program, args, {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...process.env, LC_ALL: "C", ...options.env },
      maxBuffer: MAX_OUTPUT,
      timeout: options.timeoutMs,
      killSignal: "SIGKILL",
    });
    return stdout;
  } catch (cause) {
    const detail = cause instanceof Error && "stderr" in cause ? String(cause.stderr).trim() : "";
    throw new Error(`${program} failed${detail === "" ? "" : `: ${detail}`}`, { cause });
  }
}
