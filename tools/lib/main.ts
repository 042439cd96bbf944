import { constants } from "node:os";

/** Something a person can put right: shown without a stack. */
export class UserError extends Error {
  override readonly name = "UserError";
}

/** One Ctrl-C may arrive twice: from the terminal, and passed on by npm. */
const ECHO_MS = 1_000;

/** What `signal` of {@link main} is aborted with: somebody wants us to stop. */
export class Interruption extends Error {
  override readonly name = "Interruption";
}

/** Whether an error only says that the work was called off. */
export function isInterruption(error: unknown): boolean {
  return error instanceof Interruption || (error instanceof Error && error.name === "AbortError");
}

/**
 * Runs a command and makes its outcome the process's exit code. The first Ctrl-C (or SIGTERM, SIGHUP) aborts `signal`, and the
 * command ends in its own time, by returning where that is its way to end; a second one leaves at once.
 */
export async function main(command: (signal: AbortSignal) => Promise<number | undefined>): Promise<void> {
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
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
  // The terminal may be gone before we are; stopping things matters more than saying so.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  try {
    process.exitCode = (await command(abort.signal)) ?? 0;
  } catch (error) {
    process.exitCode = 1;
    if (caught !== undefined) process.exitCode = 128 + constants.signals[caught];
    process.stderr.write(`${caught === undefined ? describe(error) : describeInterrupted(error)}\n`);
  }
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.off(signal, onSignal);
}

/** After Ctrl-C much fails because it was called off, e.g. programs that heard it too: a word about that is enough. */
function describeInterrupted(error: unknown): string {
  if (isInterruption(error) || !(error instanceof Error)) return "Interrupted.";
  return `Interrupted (${error.message.split("\n", 1)[0]}).`;
}

function describe(error: unknown): string {
  if (error instanceof UserError || (error instanceof Error && error.name === "ConfigError"))
    return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
