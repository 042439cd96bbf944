import type { HoverCommand } from "../../command.ts";
import { APP_FLAG, aboutMachine } from "../../find.ts";
import { duration } from "../../values.ts";
import { configOptions } from "../config/config-flags.ts";
import { LEASE_FLAG } from "../lease/lease-flag.ts";
import type { UpdateFlags } from "./update-run.ts";

/** Defines `hover machine update`, whose code is loaded when it runs. */
export function defineUpdate(machine: HoverCommand): void {
  const update = machine
    .leaf("update [machine]", "Makes a new version of a machine's configuration; one that runs is replaced")
    .asksForMachine()
    .option(...APP_FLAG)
    .option("-i, --image <image>", "the new image")
    .option("--start", "start a machine that does not run")
    .option("--skip-start", "leave a machine that runs stopped")
    .option("--skip-launch", "the same")
    .option("--rollback", "go back to the old version when the new one does not become ready")
    .option("--ready-timeout <time>", "how long it has for that (default: 10s)", duration)
    .option("--current-version <id>", "fail when the machine has another version now")
    .option("--wait", "wait until it has settled, under a lease")
    .option("--wait-timeout <time>", "how long to wait (default: 5m)", duration)
    .option("--detach", "always so unless --wait is given")
    .option("--skip-health-checks", "always so: there are no health checks yet")
    .option("-y, --yes", "always so: no confirmation is asked for")
    .option(...LEASE_FLAG);
  configOptions(update)
    .examples(
      "hover machine update ID --image web:2",
      "hover machine update ID --vm-memory 1gb -e LOG=debug --rollback",
      "hover machine update ID -p 80/tcp:-        removes a port",
      "hover machine update ID --config machine.json        replaces the whole configuration",
    )
    .runs<[string], UpdateFlags>(
      async (...given) => (await import("./update-run.ts")).runUpdate(...given),
      aboutMachine,
    );
}
