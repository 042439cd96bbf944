import { CommanderError } from "commander";
import type { Surroundings } from "./commands/command.ts";
import { buildProgram } from "./program.ts";
import { EXIT } from "./session/report.ts";
import { processTerminal } from "./session/terminal.ts";

class Interrupted extends Error {
  override readonly name = "Interrupted";
  /** 128 + the signal's number, as shells have it. */
  readonly exitCode: number;

  constructor(exitCode: number) {
    super("interrupted");
    this.exitCode = exitCode;
  }
}

export async function main(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const stop = new AbortController();
  const terminal = processTerminal(env, () => stop.abort(new Error("nobody reads the output")));
  const around: Surroundings = { terminal, env, signal: stop.signal, exitCode: EXIT.ok };
  using _ = listenForSignals(stop);
  try {
    const program = await buildProgram(around, args);
    await program.parseAsync(args, { from: "user" });
  } catch (err) {
    if (!(err instanceof CommanderError)) throw err;
    // Help that was asked for is a success. Commander has written the message.
    return err.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
  if (!stop.signal.aborted) return around.exitCode;
  return stop.signal.reason instanceof Interrupted ? stop.signal.reason.exitCode : EXIT.ok;
}

/** Lets the first Ctrl-C end the command in good order. A second one ends the process. */
function listenForSignals(stop: AbortController): Disposable {
  const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
  const listeners = Object.entries(codes).map(([name, code]) => {
    const listener = () => {
      release();
      stop.abort(new Interrupted(code));
    };
    process.on(name, listener);
    return () => process.off(name, listener);
  });
  const release = () => {
    for (const remove of listeners) remove();
  };
  return { [Symbol.dispose]: release };
}
