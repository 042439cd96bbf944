import type { HoverCommand } from "../command.ts";
import { defineCreate } from "./create.ts";
import { defineDestroy } from "./destroy.ts";
import { defineList } from "./list.ts";
import { defineLogs } from "./logs.ts";
import { defineStart } from "./start.ts";
import { defineStatus } from "./status.ts";
import { defineStop } from "./stop.ts";
import { defineWait } from "./wait.ts";

export function defineMachine(machine: HoverCommand): void {
  machine.addHelpText(
    "after",
    "\nA machine is given by its id, or by its name, which is looked up in the database first.",
  );
  defineCreate(machine);
  defineList(machine);
  defineStatus(machine);
  defineLogs(machine);
  defineWait(machine);
  defineStart(machine);
  defineStop(machine);
  defineDestroy(machine);
}
