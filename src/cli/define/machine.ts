import type { Command } from "commander";
import type { CreateFlags } from "../commands/machine-create.ts";
import { duration, memoryMb, pair, port, whole, words } from "../parse/values.ts";
import type { Runner } from "../runner.ts";
import { STATE_NAMES } from "../show/states.ts";
import { group, leaf } from "./common.ts";

/** `-a`, for commands whose machines may be given by name. */
export interface AppFlag {
  readonly app?: string;
}

const APP = ["-a, --app <app>", "app (default: WINDHOVER_APP)"] as const;

/** `hover machine`. */
export function defineMachine(program: Command, runner: Runner): void {
  const machine = group(program, "machine", ["machines", "m"], "Machines: create, start, stop, watch");
  machine.addHelpText(
    "after",
    "\nA machine is named by its id, or by its name; a name is looked up in the central record first.",
  );
  defineCreate(machine, runner);
  defineLook(machine, runner);
  defineVerbs(machine, runner);
}

function defineCreate(machine: Command, runner: Runner): void {
  const flags = (command: Command) =>
    command
      .option(...APP)
      .option("-n, --name <name>", "name (default: made by the server)")
      .option(
        "-r, --region <region>",
        "region, several in order (gru,ord), or any, eu, us, ... (default: the api's)",
      )
      .option("--host-label <KEY=VALUE>", "only hosts with this label; may be repeated", pair)
      .option("--on-host <n>", "only the host of this number", whole(0, 2 ** 20 - 1))
      .option("--distinct-hosts", "never beside another machine of the app")
      .option("--pack", "fill hosts one after the other")
      .option("--spread", "where most room is (default)")
      .option("-e, --env <NAME=VALUE>", "environment variable; may be repeated", pair)
      .option("-p, --port <port[/protocol]>", "port of the guest to make reachable; may be repeated", port)
      .option("-m, --metadata <NAME=VALUE>", "label; may be repeated", pair)
      .option("--vm-memory <amount>", "memory: 512, 512mb, 1gb (default: the smallest)", memoryMb)
      .option("--vm-cpus <n>", "virtual CPUs, 1 to 16 (default: 1)", whole(1, 1_024))
      .option("--vm-cpu-kind <kind>", "shared or performance (default: shared)")
      .option("--entrypoint <command>", "replaces the image's entrypoint; quotes as in a shell")
      .option("--user <user[:group]>", "user to run as (default: the image's)")
      .option("--workdir <path>", "working directory (default: the image's)")
      .option("-s, --signal <signal>", "signal that stops it (default: SIGINT, or the image's)")
      .option("--timeout <time>", "time between that signal and SIGKILL (default: 5s)", duration)
      .option("-c, --config <file.json>", "whole configuration; flags win over it")
      .option("--request-id <id>", "makes the call safe to repeat: the same id gives the same machine")
      .addHelpText(
        "after",
        "\nFlags of the program in the machine go after --:\n  hover machine run nginx -a web -p 80 -- nginx -g 'daemon off;'",
      );
  type Args = [string | undefined, string[]];
  flags(leaf(machine, "run [image] [command...]", "Creates a machine and starts it")).action(
    runner.action<Args, CreateFlags>(
      (_args, { app }) => ({ app }),
      async () => (await import("../commands/machine-create.ts")).runMachine,
    ),
  );
  flags(leaf(machine, "create [image] [command...]", "Creates a machine without starting it")).action(
    runner.action<Args, CreateFlags>(
      (_args, { app }) => ({ app }),
      async () => (await import("../commands/machine-create.ts")).createMachine,
    ),
  );
}

function defineLook(machine: Command, runner: Runner): void {
  leaf(machine, "list", "Lists machines")
    .alias("ls")
    .option("-a, --app <app>", "only this app (default: WINDHOVER_APP, else all of your organisation)")
    .option("-q, --quiet", "print ids only")
    .option("--state <states>", "only these states, with commas; `all` for destroyed ones too", words)
    .action(
      runner.action<[], AppFlag & { quiet?: boolean; state?: readonly string[] }>(
        (_args, { app }) => ({ app }),
        async () => (await import("../commands/machine-list.ts")).listMachines,
      ),
    );

  leaf(machine, "status <machine>", "Shows a machine and its last events")
    .option(...APP)
    .option("-d, --display-config", "show its configuration as well")
    .action(
      runner.action<[string], AppFlag & { displayConfig?: boolean }>(
        ([id], { app }) => ({ machine: id, app }),
        async () => (await import("../commands/machine-status.ts")).showMachine,
      ),
    );

  leaf(machine, "logs <machine>", "Prints what a machine wrote")
    .option(...APP)
    .option("-f, --follow", "go on as it writes, until Ctrl-C")
    .option("-n, --tail <lines>", "only the last lines", whole(0, 10_000))
    .option("-t, --timestamps", "show when each line was written")
    .action(
      runner.action<[string], AppFlag & { follow?: boolean; tail?: number; timestamps?: boolean }>(
        ([id], { app }) => ({ machine: id, app }),
        async () => (await import("../commands/machine-logs.ts")).showLogs,
      ),
    );

  leaf(machine, "wait <machine>", "Waits until a machine is in a state")
    .option(...APP)
    .option(
      "--state <states>",
      `any of these, with commas: ${STATE_NAMES.join(", ")} (default: started)`,
      words,
    )
    .option("--timeout <time>", "how long to wait, up to 5m (default: 60s)", duration)
    .action(
      runner.action<[string], AppFlag & { state?: readonly string[]; timeout?: number }>(
        ([id], { app }) => ({ machine: id, app }),
        async () => (await import("../commands/machine-wait.ts")).waitMachine,
      ),
    );
}

function defineVerbs(machine: Command, runner: Runner): void {
  type Ids = [string[]];
  const about = ([ids]: Ids, { app }: AppFlag) => ({ machine: ids.length === 1 ? ids[0] : undefined, app });

  leaf(machine, "start <machine...>", "Starts machines; returns when their programs run")
    .option(...APP)
    .action(
      runner.action<Ids, AppFlag>(
        about,
        async () => (await import("../commands/machine-start.ts")).startMachines,
      ),
    );

  leaf(
    machine,
    "stop <machine...>",
    "Stops machines: a signal, a grace, SIGKILL; returns when they have ended",
  )
    .option(...APP)
    .option("-s, --signal <signal>", "signal (default: the machine's)")
    .option("--timeout <time>", "time between signal and SIGKILL (default: the machine's)", duration)
    .action(
      runner.action<Ids, AppFlag & { signal?: string; timeout?: number }>(
        about,
        async () => (await import("../commands/machine-stop.ts")).stopMachines,
      ),
    );

  leaf(machine, "destroy <machine...>", "Removes machines from their hosts for good")
    .aliases(["rm", "remove"])
    .option(...APP)
    .option("-f, --force", "also when they run")
    .action(
      runner.action<Ids, AppFlag & { force?: boolean }>(
        about,
        async () => (await import("../commands/machine-destroy.ts")).destroyMachines,
      ),
    );
}
