import type { Command } from "commander";
import type { Subject } from "./hints.ts";
import { EXIT, reportError } from "./report.ts";
import { Session } from "./session.ts";
import { type CommonFlags, readSettings } from "./settings.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";

/** What a command does; what it returns, if anything, is the exit code. */
export type Handler<A extends readonly unknown[], O> = (
  session: Session,
  args: A,
  flags: O,
) => Promise<number | undefined>;

/** Runs commands: makes their session, reports what they throw, keeps the exit code. */
export class Runner {
  readonly #terminal: Terminal;
  readonly #signal: AbortSignal;
  readonly #env: NodeJS.ProcessEnv;
  exitCode: number = EXIT.ok;

  constructor(terminal: Terminal, signal: AbortSignal, env: NodeJS.ProcessEnv) {
    this.#terminal = terminal;
    this.#signal = signal;
    this.#env = env;
  }

  /**
   * Makes an action for commander. `about` says what the command is about, so that an error can name the next command in full.
   */
  action<A extends readonly unknown[], O extends object>(
    about: (args: A, flags: O) => Subject,
    load: () => Promise<Handler<A, O>>,
  ): (...given: unknown[]) => Promise<void> {
    return async (...given) => {
      // Commander calls with the arguments, the flags, and the command; their types are those the command was defined with.
      const command = given.at(-1) as Command;
      const args = given.slice(0, -2) as unknown as A;
      const flags = command.optsWithGlobals() as O & CommonFlags;
      const settings = readSettings(flags, this.#env);
      const { signal, terminal } = { signal: this.#signal, terminal: this.#terminal };
      const session = new Session(settings, terminal, signal, flags.json === true, this.#env);
      try {
        const handler = await load();
        this.exitCode = (await handler(session, args, flags)) ?? EXIT.ok;
      } catch (err) {
        // Ended from outside: not an error of the command.
        if (signal.aborted) return;
        const report = reportError(err, about(args, flags), settings, terminal.paint);
        const usage = err instanceof UsageError ? [`Help: ${nameOf(command)} --help`] : [];
        const text = session.json ? JSON.stringify(report.json) : [...report.lines, ...usage].join("\n");
        terminal.err(`${text}\n`);
        this.exitCode = report.exitCode;
      } finally {
        session.close();
      }
    };
  }
}

/** The command as it is typed, e.g. `hover machine run`. */
export function nameOf(command: Command): string {
  return command.parent ? `${nameOf(command.parent)} ${command.name()}` : command.name();
}
