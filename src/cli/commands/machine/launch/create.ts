import type { HoverCommand } from "../../command.ts";
import { APP_FLAG } from "../../find.ts";
import { duration, pair, whole } from "../../values.ts";
import { configOptions } from "../config/config-flags.ts";
import type { CreateArguments, CreateFlags } from "./create-run.ts";

const WORDS = `
All from the second word on is the program's, as with docker; flags that are for hover stand before it.
A program whose first word is a flag goes after --.`;

/** Defines `hover machine run` and `hover machine create`, whose code is loaded when they run. */
export function defineCreate(machine: HoverCommand): void {
  const run = machine
    .leaf("run [image] [command...]", "Creates a machine and starts it; with --rm follows it to its end")
    .option("--detach", "with --rm: do not follow it")
    .option("--follow", "print what it writes until its program ends, and end with its exit code")
    .option("--shell", "open a shell in it (--command: that instead), and destroy it afterwards")
    .option("--skip-launch", "do not start it, as `hover machine create`")
    .option("--wait", "wait until it has settled, up to --wait-timeout")
    .option("--wait-timeout <time>", "how long to wait (default: 5m)", duration)
    .examples(
      "hover machine run nginx -a web -p 80",
      "hover machine run nginx -a web -p 443:80/tcp:tls:http --vm-size shared-cpu-2x --restart always",
      "hover machine run --rm busybox -a jobs sh -c 'echo hi; exit 3'",
      "hover machine run nginx -a web nginx -g 'daemon off;'",
      "hover machine run nginx -a web -- -g 'daemon off;'",
    );
  const create = machine
    .leaf("create [image] [command...]", "Creates a machine without starting it")
    .examples("hover machine create nginx -a web -n front -p 80");
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
      .option("--request-id <id>", "makes the call safe to repeat: the same id gives the same machine")
      .refuses("an app has its organisation: hover app create NAME -o ORG", "--org <slug>");
    configOptions(command)
      .addHelpText("after", WORDS)
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
