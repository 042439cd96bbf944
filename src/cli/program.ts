import { Argument, type Command, Help, type Option } from "commander";
import type { AuditFlags } from "./commands/audit/audit.ts";
import { HoverCommand, type Surroundings } from "./commands/command.ts";
import type { TraceFlags } from "./commands/trace/trace.ts";
import { duration } from "./commands/values.ts";
import { variableHelp } from "./session/variables.ts";
import { readVersion } from "./session/version.ts";

const EXAMPLES = `
First steps:
  hover app create web
  hover machine run 127.0.0.1:5000/samples/hello -a web -p 8080
  hover machine stop ID        then: hover machine start ID
  hover trace ID               where the milliseconds of the last start went
  hover doctor                 what is wrong, and how to fix it

Environment:
${variableHelp()}

Exit code: 0 success, 1 failure, 2 wrong usage, 130 interrupted.`;

type Noun = readonly [
  names: readonly [string, ...string[]],
  help: string,
  define: (group: HoverCommand) => Promise<void>,
];

/** The commands of a noun are loaded when it is typed: loading all takes too long. */
const NOUNS: readonly Noun[] = [
  [
    ["machine", "machines", "m"],
    "Machines: create, start, stop, watch",
    async (group) => (await import("./commands/machine/machine.ts")).defineMachine(group),
  ],
  [
    ["app", "apps"],
    "Apps: named groups of machines",
    async (group) => (await import("./commands/app/app.ts")).defineApp(group),
  ],
  [
    ["platform"],
    "Regions, and sizes of VMs",
    async (group) => (await import("./commands/platform.ts")).definePlatform(group),
  ],
  [
    ["registry", "registries"],
    "Registries that your organisation is logged in to",
    async (group) => (await import("./commands/registry/registry.ts")).defineRegistry(group),
  ],
  [
    ["org", "orgs"],
    "Organisations, their standing and quota (needs the scope admin)",
    async (group) => (await import("./commands/org/org.ts")).defineOrg(group),
  ],
  [
    ["token", "tokens"],
    "Access tokens: create, list, revoke (needs the scope admin), attenuate, inspect",
    async (group) => (await import("./commands/token/token.ts")).defineToken(group),
  ],
  [
    ["key", "keys"],
    "Keys that sign tokens, in a folder",
    async (group) => (await import("./commands/key/key.ts")).defineKey(group),
  ],
  [
    ["host", "hosts"],
    "Hosts, their capacity and isolation (needs the scope admin)",
    async (group) => (await import("./commands/host/host.ts")).defineHost(group),
  ],
  [
    ["reservation", "reservations"],
    "Live reservations (needs the scope admin)",
    async (group) => (await import("./commands/host/reservation.ts")).defineReservation(group),
  ],
];

/** A command without others. Its flags are loaded when it is typed. */
interface Leaf {
  readonly usage: string;
  readonly help: string;
  readonly define: (leaf: HoverCommand) => Promise<void>;
}

const LEAVES: readonly Leaf[] = [
  {
    usage: "acquire [image] [command...]",
    help: "Gets a running machine by the first of several ways that works",
    define: async (leaf) => (await import("./commands/acquire/acquire.ts")).defineAcquire(leaf),
  },
  {
    usage: "console [machine]",
    help: "Opens a shell in a machine; without one, links to the web console",
    define: async (leaf) => (await import("./commands/machine/exec/console.ts")).defineConsole(leaf),
  },
  {
    usage: "latency",
    help: "Shows how fast starts, creates, wakes and stops are, and compares them",
    define: async (leaf) => (await import("./commands/latency/latency.ts")).defineLatency(leaf),
  },
  {
    usage: "watch [machine...]",
    help: "Shows how machines change, until Ctrl-C",
    define: async (leaf) => (await import("./commands/watch/watch.ts")).defineWatch(leaf),
  },
  {
    usage: "api <method> [path]",
    help: "Calls the REST API with your token, and prints the JSON",
    define: async (leaf) => (await import("./commands/rest/api.ts")).defineApi(leaf),
  },
];

/** The words that load every command. */
const EVERYTHING = [...NOUNS.map(([[name]]) => name), ...LEAVES.map(({ usage }) => usage.replace(/ .*/, ""))];

/** Builds the command line with all commands, for completion and reference. */
export function buildWholeProgram(around: Surroundings): Promise<HoverCommand> {
  return buildProgram(around, EVERYTHING);
}

/** Builds the command line: names, flags and help of every command, and their handlers. */
export async function buildProgram(around: Surroundings, args: readonly string[]): Promise<HoverCommand> {
  const { terminal } = around;
  const program = new HoverCommand("hover", around);
  const helpWidth = () => Math.min(terminal.width ?? 100, 110);
  program
    .description("Runs OCI images as micro-VMs on a fleet of hosts: create is slow, start is fast.")
    .exitOverride()
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.err(text),
      outputError: (text, write) => write(text.replace(/^error: /, "Error: ")),
      getOutHelpWidth: helpWidth,
      getErrHelpWidth: helpWidth,
    })
    .configureHelp({ subcommandTerm: termOf, visibleOptions: ownFirst })
    .helpCommand("help [command]", "Shows help for a command")
    .helpOption("-h, --help", "show help")
    .version(readVersion(), "-V, --version", "show the version")
    .addHelpText("after", EXAMPLES);
  for (const [names, help, define] of NOUNS) {
    const [name, ...aliases] = names;
    const group = program.group(name, aliases, help);
    if (args.some((arg) => names.includes(arg))) await define(group);
  }
  for (const { usage, help, define } of LEAVES) {
    const leaf = program.leaf(usage, help);
    if (args.includes(leaf.name())) await define(leaf);
  }
  program
    .leaf("trace <machine|trace-id>", "Shows where the time of a machine's last start went, as a waterfall")
    .option("--create", "the machine's create instead of its last start")
    .option("--all", "every span, without folding short ones")
    .option("-a, --app <app>", "app of a machine that is given by name")
    .examples("hover trace ID", "hover trace ID --create")
    .runs<[string], TraceFlags>(
      async (...given) => (await import("./commands/trace/trace.ts")).showTrace(...given),
      ([machine]) => ({ machine }),
    );
  program
    .leaf("audit", "Shows who did what, and what was refused")
    .option("-o, --org <slug>", "only of an organisation")
    .option("--subject <name>", "only of a subject")
    .option("--object <id>", "only about a machine, app, token, ...")
    .option("--since <time>", "only of the last minutes or hours, e.g. 30m", duration)
    .option("-f, --follow", "go on as entries are written")
    .examples("hover audit --since 30m", "hover audit -o acme --follow")
    .runs<[], AuditFlags>(async (...given) =>
      (await import("./commands/audit/audit.ts")).showAudit(...given),
    );
  program
    .leaf("doctor", "Checks everything that a fleet needs, and says how to fix what is wrong")
    .examples("hover doctor")
    .runs(async (session) => (await import("./commands/doctor/doctor.ts")).runDoctor(session));
  program
    .leaf("completion", "Prints what completes hover's commands in a shell")
    .addArgument(new Argument("<shell>").choices(["bash", "zsh", "fish"]))
    .examples("source <(hover completion bash)", "hover completion fish | source")
    .runs<[string], object>(async (session, [shell]) => {
      const { SCRIPTS } = await import("./commands/completion/scripts.ts");
      const { nodesOf } = await import("./commands/completion/tree.ts");
      session.terminal.out(SCRIPTS[shell]?.(nodesOf(await buildWholeProgram(around))) ?? "");
    });
  program
    .leaf("version", "Prints versions")
    .examples("hover version --json")
    .runs(async (session) => (await import("./commands/version.ts")).showVersion(session));
  return program;
}

const COMMON: ReadonlySet<string> = new Set([
  ...["--json", "--api", "--token-file", "--access-token", "--debug", "--help"],
]);

/** Sorts a command's own options before those that all commands have. */
function ownFirst(command: Command): Option[] {
  const all = new Help().visibleOptions(command);
  const isCommon = (option: Option) => COMMON.has(option.long ?? "");
  return [...all.filter((option) => !isCommon(option)), ...all.filter(isCommon)];
}

/** All names of a command, and its arguments: `list|ls`. */
function termOf(command: Command): string {
  const names = [command.name(), ...command.aliases()].join("|");
  const words = command.registeredArguments.map((argument) => {
    const word = `${argument.name()}${argument.variadic ? "..." : ""}`;
    return argument.required ? `<${word}>` : `[${word}]`;
  });
  return [names, ...words].join(" ");
}
