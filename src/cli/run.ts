import { CommanderError } from "commander";
import { buildProgram } from "./program.ts";
import { EXIT } from "./report.ts";
import { Runner } from "./runner.ts";
import { processTerminal } from "./terminal.ts";

/** Runs one command line and returns the exit code. */
export async function main(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const stop = new AbortController();
  const terminal = processTerminal(env, () => stop.abort(new ReaderGone()));
  const interrupted = listenForSignals(stop);
  const runner = new Runner(terminal, stop.signal, env);
  try {
    await buildProgram(runner, terminal, args).parseAsync(args, { from: "user" });
    return exitCodeOf(stop.signal) ?? runner.exitCode;
  } catch (err) {
    if (!(err instanceof CommanderError)) throw err;
    // Help that was asked for is a success; commander has written what there is to say.
    return err.exitCode === 0 ? EXIT.ok : EXIT.usage;
  } finally {
    interrupted.release();
  }
}

/** Why a command was ended from outside. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  /** 128 + the signal's number, as shells have it. */
  readonly exitCode: number;

  constructor(exitCode: number) {
    super("interrupted");
    this.exitCode = exitCode;
  }
}

/** Nobody reads the output any more. */
export class ReaderGone extends Error {
  override readonly name = "ReaderGone";
}

function exitCodeOf(signal: AbortSignal): number | undefined {
  if (!signal.aborted) return undefined;
  return signal.reason instanceof Interrupted ? signal.reason.exitCode : EXIT.ok;
}

/** The first Ctrl-C ends the command in good order; a second one ends the process at once, as by default. */
function listenForSignals(stop: AbortController) {
  const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
  const heard = Object.entries(codes).map(([name, code]) => {
    const listener = () => {
      release();
      stop.abort(new Interrupted(code));
    };
    process.on(name, listener);
    return { name, listener };
  });
  const release = () => {
    for (const { name, listener } of heard) process.off(name, listener);
  };
  return { release };
}
