import type { HoverCommand } from "../command.ts";
import { APP_FLAG } from "../find.ts";
import { amountMb, duration, pair, port, signalName, whole } from "../values.ts";
import type { CreateArguments, CreateFlags } from "./create-run.ts";

const EXAMPLE = `
All from the second word on is the program's, as with docker; flags that are for hover stand before it.
A program whose first word is a flag goes after --:
  hover machine run nginx -a web -p 80 nginx -g 'daemon off;'
  hover machine run nginx -a web -- -g 'daemon off;'`;

/** Defines `hover machine run` and `hover machine create`, whose code is loaded when they run. */
export function defineCreate(machine: HoverCommand): void {
  const run = machine.leaf("run [image] [command...]", "Creates a machine and starts it");
  const create = machine.leaf("create [image] [command...]", "Creates a machine without starting it");
  for (const command of [run, create]) {
    command
      .withProgram()
      .option(...APP_FLAG)
      .option("-n, --name <name>", "name (default: made by the server)")
      .option(
        "-r, --region <region>",
        "region, several in order (gru,ord), or any, eu, us, ... (default: the API's)",
      )
      .option("--host-label <KEY=VALUE>", "only hosts with this label; may be repeated", pair)
      .option("--on-host <n>", "only the host with this number", whole(0, 2 ** 20 - 1))
      .option("--distinct-hosts", "never on a host with another machine of the app")
      .option("--pack", "prefer the fullest host")
      .option("--spread", "prefer the host with most room (default)")
      .option("-e, --env <NAME=VALUE>", "environment variable; may be repeated", pair)
      .option("-p, --port <port[/protocol]>", "port of the guest to publish; may be repeated", port)
      .option("-m, --metadata <NAME=VALUE>", "label of the machine; may be repeated", pair)
      .option("--vm-memory <amount>", "memory: 512, 512mb, 1gb (default: the smallest)", amountMb)
      .option("--vm-cpus <n>", "virtual CPUs, 1 to 16 (default: 1)", whole(1, 1_024))
      .option("--vm-cpu-kind <kind>", "shared or performance (default: shared)")
      .option("--entrypoint <command>", "replaces the image's entrypoint; quotes as in a shell")
      .option("--user <user[:group]>", "user to run as (default: the image's)")
      .option("--workdir <path>", "working directory (default: the image's)")
      .option("-s, --signal <signal>", "signal that stops it (default: SIGINT, or the image's)", signalName)
      .option("--timeout <time>", "time between that signal and SIGKILL (default: 5s)", duration)
      .option("-c, --config <file.json>", "whole configuration; flags override it")
      .option("--request-id <id>", "makes the call safe to repeat: the same id gives the same machine")
      .addHelpText("after", EXAMPLE)
      .runs<CreateArguments, CreateFlags>(
        async (session, args, flags) =>
          (await import("./create-run.ts")).runCreate(
            session,
            args,
            flags,
            command === run ? "run" : "create",
          ),
        (_args, { app }) => ({ app }),
      );
  }
}
