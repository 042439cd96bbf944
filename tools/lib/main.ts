import { constants } from "node:os";
import { Interruption, isInterruption, UserError } from "./errors.ts";
import { Progress } from "./progress.ts";

export { UserError } from "./errors.ts";

/** One Ctrl-C may arrive twice: from the terminal, and passed on by npm. */
const ECHO_MS = 1_000;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Runs a command; a number that it returns becomes the exit code. The first Ctrl-C (or SIGTERM,
 * SIGHUP) aborts `signal`, and the command may end by returning; a second Ctrl-C ends the process
 * at once.
 */
export async function main(
  command: (signal: AbortSignal, progress: Progress) => Promise<unknown>,
): Promise<void> {
  const abort = new AbortController();
  let caught: NodeJS.Signals | undefined;
  let caughtAt = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    if (caught !== undefined) {
      if (signal !== "SIGINT" || performance.now() - caughtAt < ECHO_MS) return;
      process.stderr.write("Leaving at once. npm run down ends what is left.\n");
      process.exit(130);
    }
    caught = signal;
    caughtAt = performance.now();
    abort.abort(new Interruption(`stopped by ${signal}`));
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  // The terminal may go away first; stopping things matters more than output.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  try {
    const result = await command(abort.signal, new Progress());
    process.exitCode = typeof result === "number" ? result : 0;
  } catch (error) {
    process.exitCode = caught === undefined ? 1 : 128 + constants.signals[caught];
    process.stderr.write(`${caught === undefined ? describe(error) : describeInterrupted(error)}\n`);
  }
  for (const signal of SIGNALS) process.off(signal, onSignal);
}

/** After Ctrl-C much fails, e.g. programs that got it too: one line is enough. */
function describeInterrupted(error: unknown): string {
  if (isInterruption(error) || !(error instanceof Error)) return "Interrupted.";
  return `Interrupted (${error.message.split("\n", 1)[0]}).`;
}

function describe(error: unknown): string {
  if (error instanceof UserError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
