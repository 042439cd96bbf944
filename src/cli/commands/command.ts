import { Command, Option } from "commander";
import type { Subject } from "../session/faults/hints.ts";
import { UsageError } from "../session/faults/usage-error.ts";
import { reportError } from "../session/report.ts";
import { Session } from "../session/session.ts";
import { type CommonFlags, readSettings } from "../session/settings.ts";
import type { Terminal } from "../session/terminal.ts";
import type { AppFlag } from "./find.ts";
import { joinOptional, separateProgram } from "./program-words.ts";

/** Said with every mistake in a command that takes words of a program. */
const PROGRAM_ADVICE =
  "Flags of the program in the machine go after --, e.g. hover machine run IMAGE -a APP -- nginx -g 'daemon off;'";

/** Runs a command in a session. Sets `session.exitCode` when it fails without throwing. */
export type Handler<A extends readonly unknown[], O> = (session: Session, args: A, flags: O) => Promise<void>;

/** The process around a command line. */
export interface Surroundings {
  readonly terminal: Terminal;
  readonly env: NodeJS.ProcessEnv;
  /** Aborts on Ctrl-C, and when the reader of the output goes away. */
  readonly signal: AbortSignal;
  exitCode: number;
}

/** A command of `hover`, or a group of commands. */
export class HoverCommand extends Command {
  readonly #surroundings: Surroundings;
  readonly #refusals = new Map<string, { readonly option: Option; readonly why: string }>();
  #takesProgram = false;
  #asksForMachine = false;

  constructor(name: string | undefined, surroundings: Surroundings) {
    super(name);
    this.#surroundings = surroundings;
  }

  override createCommand(name?: string): HoverCommand {
    return new HoverCommand(name, this.#surroundings);
  }

  /**
   * Adds a command with the flags that all of them have.
   *
   * @param own `-t` is a flag of the command's own, and `--access-token` has no short form
   */
  leaf(usage: string, description: string, own: { readonly t?: boolean } = {}): HoverCommand {
    const made = this.command(usage).description(description);
    return made
      .showHelpAfterError(`Help: ${made.fullName} --help`)
      .option("-j, --json", "print JSON")
      .option("--api <address>", "address of the API (default: WINDHOVER_API)")
      .option("--token-file <path>", "file with the token (default: WINDHOVER_TOKEN, or the fleet's)")
      .option(`${own.t ? "" : "-t, "}--access-token <token>`, "the token itself; other users may see it")
      .option("--debug", "print each call to the API and its time")
      .addOption(
        new Option("--verbose", "as --debug, for those who type flyctl's")
          .hideHelp()
          .implies({ debug: true }),
      );
  }

  /** Shows examples in the help. Every command has one. */
  examples(...lines: readonly [string, ...string[]]): this {
    const title = lines.length === 1 ? "Example:" : "Examples:";
    return this.addHelpText("after", `\n${[title, ...lines.map((line) => `  ${line}`)].join("\n")}`);
  }

  /** Refuses flags of flyctl that are missing here, with the reason. The help leaves them out. */
  refuses(why: string, ...flags: readonly string[]): this {
    for (const each of flags) {
      const option = new Option(each).hideHelp();
      this.addOption(option);
      this.#refusals.set(option.attributeName(), { option, why });
    }
    return this;
  }

  /**
   * Leaves everything from the second word to a program, as docker does: this command takes an image
   * and the words of its program. Its own flags stand before that, or before `--`.
   */
  withProgram(): this {
    this.#takesProgram = true;
    return this.showHelpAfterError(this.#usage);
  }

  /** Lets a person choose the machine, or machines, of the first argument when none is given. */
  asksForMachine(): this {
    this.#asksForMachine = true;
    return this;
  }

  override parseOptions(args: string[]): ReturnType<Command["parseOptions"]> {
    const own = this.#takesProgram ? separateProgram(args, this.options) : args;
    return super.parseOptions(joinOptional(own, this.options));
  }

  /** Adds a group of commands. Without one of them it shows its help and fails. */
  group(name: string, aliases: readonly string[], description: string): HoverCommand {
    const made = this.command(name).aliases(aliases).description(description).helpCommand(false);
    return made.showHelpAfterError(`Help: ${made.fullName} --help`);
  }

  /** Refuses a command of flyctl that is missing here, with the reason. The help leaves it out. */
  lacks(name: string, why: string): void {
    const made = this.createCommand(name).allowUnknownOption().allowExcessArguments();
    this.addCommand(made.helpOption(false).argument("[words...]"), { hidden: true });
    made.runs(async () => {
      throw new UsageError(`${made.fullName} is not possible here: ${why}`);
    });
  }

  /**
   * Sets the handler. Reports its errors, and closes its session.
   *
   * @param about names what the command works on, so that an error can show the next command in
   *   full
   */
  runs<A extends readonly unknown[], O extends object>(
    handler: Handler<A, O>,
    about: (args: A, flags: O) => Subject = () => ({}),
  ): this {
    const around = this.#surroundings;
    return this.action(async (...given: unknown[]) => {
      // Commander passes the arguments, the flags and the command, with the types of the
      // definition.
      let args = given.slice(0, -2) as unknown as A;
      const flags = this.optsWithGlobals() as O & CommonFlags;
      const settings = readSettings(flags, around.env);
      const session = new Session(settings, around, flags);
      try {
        this.#refuse(flags);
        if (this.#asksForMachine && isMissing(args[0])) {
          const { chooseMachine } = await import("./choose-machine.ts");
          // Of the type of the argument that was left out.
          args = [
            await chooseMachine(session, this.optsWithGlobals<AppFlag>(), Array.isArray(args[0])),
            ...args.slice(1),
          ] as unknown as A;
        }
        await handler(session, args, flags);
        around.exitCode = session.exitCode;
      } catch (err) {
        if (around.signal.aborted) return;
        const report = reportError(err, about(args, flags), settings, around.terminal.paint);
        const usage = err instanceof UsageError ? [this.#usage] : [];
        const text = session.json ? JSON.stringify(report.json) : [...report.lines, ...usage].join("\n");
        around.terminal.err(`${text}\n`);
        around.exitCode = report.exitCode;
      } finally {
        await session.close();
      }
    });
  }

  /** @throws UsageError when a flag is given that is refused */
  #refuse(flags: object): void {
    for (const [name, value] of Object.entries(flags)) {
      const refusal = this.#refusals.get(name);
      if (!refusal) continue;
      const { option, why } = refusal;
      // A flag `--no-x` makes `x` false, which is true without it.
      const isGiven = option.negate ? value === false : value !== undefined && value !== false;
      if (isGiven) throw new UsageError(`${option.long} is not possible here: ${why}`);
    }
  }

  /** Text after the message of a mistake. */
  get #usage(): string {
    return `${this.#takesProgram ? `${PROGRAM_ADVICE}\n` : ""}Help: ${this.fullName} --help`;
  }

  /** The command as it is typed: `hover machine run`. */
  get fullName(): string {
    return this.parent instanceof HoverCommand ? `${this.parent.fullName} ${this.name()}` : this.name();
  }
}

/** Whether an argument was left out. */
function isMissing(argument: unknown): boolean {
  return argument === undefined || (Array.isArray(argument) && argument.length === 0);
}
