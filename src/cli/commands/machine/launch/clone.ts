import type { HoverCommand } from "../../command.ts";
import { APP_FLAG, aboutMachine } from "../../find.ts";
import { duration } from "../../values.ts";
import { configOptions } from "../config/config-flags.ts";
import type { CloneFlags } from "./clone-run.ts";

/** Defines `hover machine clone`, whose code is loaded when it runs. */
export function defineClone(machine: HoverCommand): void {
  const clone = machine
    .leaf("clone [machine]", "Creates a machine with the configuration of another, and starts it")
    .asksForMachine()
    .option(...APP_FLAG)
    .option("--to-app <app>", "app of the new one (default: that of the other)")
    .option("-n, --name <name>", "name (default: made by the server)")
    .option("-r, --region <region>", "region, as `machine run` takes it (default: that of the other)")
    .option("--clear-cmd", "without the command of the other")
    .option("--override-cmd <command>", "with this command; quotes as in a shell")
    .option("--clear-auto-destroy", "without --rm of the other")
    .option("--skip-launch", "do not start it")
    .option("--detach", "always so unless --wait is given")
    .option("--wait", "wait until it has settled, under a lease")
    .option("--wait-timeout <time>", "how long to wait (default: 5m)", duration)
    .option("--request-id <id>", "makes the call safe to repeat: the same id gives the same machine");
  configOptions(clone)
    .examples("hover machine clone ID -r ams", "hover machine clone ID -n second --vm-memory 1gb")
    .runs<[string], CloneFlags>(
      async (...given) => (await import("./clone-run.ts")).runClone(...given),
      aboutMachine,
    );
}
