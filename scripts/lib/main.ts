import { constants } from "node:os";

/** Something a person can put right: shown without a stack. */
export class UserError extends Error {
  override readonly name = "UserError";
}

/**
 * Runs a command and makes its outcome the process's exit code. The first Ctrl-C (or SIGTERM, SIGHUP) aborts `signal`, and the
 * command ends in its own time, by returning where that is its way to end; a second one leaves at once.
 */
export async function main(command: (signal: AbortSignal) => Promise<number | undefined>): Promise<void> {
  const abort = new AbortController();
  let caught: NodeJS.Signals | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (caught !== undefined && signal === "SIGINT") process.exit(130);
    caught = signal;
    abort.abort(new UserError(`Stopped by ${signal}.`));
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
  // The terminal may be gone before we are; stopping things matters more than saying so.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  try {
    process.exitCode = (await command(abort.signal)) ?? 0;
  } catch (error) {
    process.exitCode = 1;
    if (caught !== undefined) process.exitCode = 128 + constants.signals[caught];
    if (!abort.signal.aborted || error !== abort.signal.reason) process.stderr.write(`${describe(error)}\n`);
  }
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.off(signal, onSignal);
}

function describe(error: unknown): string {
  if (error instanceof UserError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
