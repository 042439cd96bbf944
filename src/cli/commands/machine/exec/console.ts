import type { HoverCommand } from "../../command.ts";
import { LEASE_FLAG } from "../lease/lease-flag.ts";
import type { ConsoleFlags } from "./console-run.ts";

export function defineConsole(console: HoverCommand): void {
  console
    .option("-a, --app <app>", "app whose only started machine is meant (default: WINDHOVER_APP)")
    .option("--machine <id>", "the machine, as flyctl names it")
    .option("-u, --user <user>", "user to run as (default: the program's)")
    .option("-C, --command <command>", "run this instead of a shell; quotes as in a shell")
    .option("--open", "open the web console in a browser")
    .option(...LEASE_FLAG)
    .examples(
      "hover console               prints a link to the web console: where starts spend their time",
      "hover console --open",
      "hover console ID",
      "hover console -a web",
      "hover console ID -C 'psql -U app'",
      "Type ~. at the beginning of a line to leave a program that does not answer.",
    )
    .runs<[string | undefined], ConsoleFlags>(
      async (...given) => (await import("./console-run.ts")).openConsole(...given),
      ([machine], { app }) => ({ machine, app }),
    );
}
