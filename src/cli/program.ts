import { Command, Help, type Option } from "commander";
import { defineApp } from "./define/app.ts";
import { defineHost } from "./define/host.ts";
import { defineMachine } from "./define/machine.ts";
import { defineOrg } from "./define/org.ts";
import { defineTools } from "./define/tools.ts";
import type { Runner } from "./runner.ts";
import type { Terminal } from "./terminal.ts";
import { versionOf } from "./version.ts";

const EXAMPLES = `
First steps:
  hover app create web
  hover machine run 127.0.0.1:5000/hello -a web -p 8080
  hover machine stop ID        then: hover machine start ID
  hover trace ID               where the milliseconds of the last start went
  hover doctor                 what is wrong, and what to do about it

Environment:
  WINDHOVER_API       address of the api (default: what the local fleet says, else 127.0.0.1:7070)
  WINDHOVER_TOKEN     the token itself (default: the file "token" in WINDHOVER_DIR)
  WINDHOVER_DIR       folder of the local fleet (default: .windhover in the project)
  WINDHOVER_APP       app to use when -a is not given
  WINDHOVER_TRACES    address of the trace receiver (default: what the local fleet says, else 127.0.0.1:4318)
  NO_COLOR            no colours

Exit code: 0 success, 1 failure, 2 wrong usage, 130 interrupted.`;

/** The whole command line: names, flags and help of every command, and what runs them. */
export function buildProgram(runner: Runner, terminal: Terminal, args: readonly string[]): Command {
  const program = new Command("hover");
  program
    .description("Runs OCI images as micro-VMs on a fleet of hosts: create is slow, start is fast.")
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.err(text),
      outputError: (text, write) => write(text.replace(/^error: /, "Error: ") + advice(text, args)),
      getOutHelpWidth: () => Math.min(terminal.width ?? 100, 110),
      getErrHelpWidth: () => Math.min(terminal.width ?? 100, 110),
    })
    .configureHelp({ subcommandTerm: termOf, visibleOptions: ownFirst })
    .helpCommand("help [command]", "Shows help for a command")
    .helpOption("-h, --help", "show help")
    .version(versionOf(), "-V, --version", "show the version")
    .addHelpText("after", EXAMPLES);
  defineMachine(program, runner);
  defineApp(program, runner);
  defineOrg(program, runner);
  defineHost(program, runner);
  defineTools(program, runner);
  return program;
}

/** A command's own options first, those that all commands have last. */
function ownFirst(command: Command): Option[] {
  const all = new Help().visibleOptions(command);
  const isCommon = (option: Option) => COMMON.has(option.long ?? "");
  return [...all.filter((option) => !isCommon(option)), ...all.filter(isCommon)];
}

const COMMON: ReadonlySet<string> = new Set(["--json", "--api", "--token-file", "--help"]);

/** All names of a command, and its arguments: `list|ls`. */
function termOf(command: Command): string {
  const names = [command.name(), ...command.aliases()].join("|");
  const words = command.registeredArguments.map((argument) => {
    const word = `${argument.name()}${argument.variadic ? "..." : ""}`;
    return argument.required ? `<${word}>` : `[${word}]`;
  });
  return [names, ...words].join(" ");
}

/** What commander's messages leave out. */
function advice(message: string, args: readonly string[]): string {
  const runs = args.includes("run") || args.includes("create");
  if (runs && message.includes("unknown option")) {
    return "Flags of the program in the machine go after --, e.g. hover machine run IMAGE -a APP -- nginx -g 'daemon off;'\n";
  }
  return "";
}
