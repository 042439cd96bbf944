import type { HoverCommand } from "../command.ts";
import { defineExec } from "./exec/exec.ts";
import { defineClone } from "./launch/clone.ts";
import { defineCreate } from "./launch/create.ts";
import { defineUpdate } from "./launch/update.ts";
import { defineLeases } from "./lease/leases.ts";
import { defineCordon } from "./lifecycle/cordon.ts";
import { defineDestroy } from "./lifecycle/destroy.ts";
import { defineRestart } from "./lifecycle/restart.ts";
import { defineSignal } from "./lifecycle/signal.ts";
import { defineStart } from "./lifecycle/start.ts";
import { defineStop } from "./lifecycle/stop.ts";
import { defineSuspend } from "./lifecycle/suspend.ts";
import { defineMetadata } from "./metadata.ts";
import { defineEvents } from "./show/events.ts";
import { defineList } from "./show/list.ts";
import { defineLogs } from "./show/logs.ts";
import { definePlace } from "./show/place.ts";
import { defineProcesses } from "./show/processes.ts";
import { defineStatus } from "./show/status.ts";
import { defineVersions } from "./show/versions.ts";
import { defineWait } from "./show/wait.ts";

export function defineMachine(machine: HoverCommand): void {
  machine.addHelpText(
    "after",
    "\nA machine is given by its id, or by its name, which is looked up in the database first.",
  );
  const commands = [
    ...[defineCreate, defineUpdate, defineClone, defineList, defineStatus, defineLogs, defineEvents],
    ...[defineVersions, defineProcesses, defineWait, defineStart, defineStop, defineRestart],
    ...[defineSignal, defineSuspend, defineCordon, defineDestroy, defineExec, defineMetadata],
    ...[defineLeases, definePlace],
  ];
  for (const define of commands) define(machine);
  machine.lacks("egress-ip", "machines have no addresses of their own yet.");
  machine.lacks("api-proxy", "there is no private network yet; hover api calls the REST API.");
  machine.lacks("proxy", "there is no private network yet; hover api calls the REST API.");
}
