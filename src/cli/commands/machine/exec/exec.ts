import type { HoverCommand } from "../../command.ts";
import { APP_FLAG, aboutMachine } from "../../find.ts";
import { duration, pair } from "../../values.ts";
import { LEASE_FLAG } from "../lease/lease-flag.ts";
import type { ExecFlags } from "./exec-run.ts";

export function defineExec(machine: HoverCommand): void {
  machine
    .leaf("exec <machine> [command...]", "Runs a command in a machine; ends with its exit code", { t: true })
    .withProgram()
    .option(...APP_FLAG)
    .option("-i, --interactive", "send standard input to it")
    .option("-t, --tty", "give it a terminal")
    .option("--timeout <time>", "kill it after so long (default: never; with --json 60s)", duration)
    .option("-u, --user <user>", "user to run as (default: the program's)")
    .option("-w, --workdir <path>", "working directory (default: the program's)")
    .option("-e, --env <NAME=VALUE>", "environment variable; may be repeated", pair)
    .option(...LEASE_FLAG)
    .refuses("a machine is one container", "--container <name>")
    .option("--no-container", "always so: a machine is one container")
    .examples(
      "hover machine exec ID ls -l /",
      "hover machine exec -it ID sh",
      "hover machine exec ID 'ls -l /'        one text is split into words, as flyctl does",
      "cat dump.sql | hover machine exec -i ID psql",
    )
    .runs<[string, string[]], ExecFlags>(
      async (...given) => (await import("./exec-run.ts")).runExec(...given),
      ([id], flags) => aboutMachine([id], flags),
    );
}
