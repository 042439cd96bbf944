import type { HoverCommand } from "../../command.ts";
import { APP_FLAG, type AppFlag, aboutMachine, machineId, machinesClient } from "../../find.ts";
import { instantBefore, whole } from "../../values.ts";
import { entriesOf, printEntry } from "./log-lines.ts";

/** Defines `hover machine logs`. With `--json` each line is one JSON object. */
export function defineLogs(machine: HoverCommand): void {
  machine
    .leaf("logs [machine]", "Prints what a machine wrote", { t: true })
    .asksForMachine()
    .option(...APP_FLAG)
    .option("-f, --follow", "go on as it writes, until Ctrl-C")
    .option("-n, --tail <lines>", "only the last lines", whole(0, 10_000))
    .option("--since <time>", "only since a time, or the last minutes or hours, e.g. 10m", instantBefore)
    .option("-t, --timestamps", "show when each line was written")
    .examples("hover machine logs ID", "hover machine logs ID -f -n 20", "hover machine logs ID --since 10m")
    .runs<[string], AppFlag & { follow?: boolean; tail?: number; since?: Date; timestamps?: boolean }>(
      async (session, [idOrName], { follow = false, tail, since, timestamps = false, ...flags }) => {
        const client = await machinesClient(session);
        const id = await machineId(session, client, idOrName, flags);
        const request = { machineId: id, follow, tail, since, afterSequence: 0n };
        for await (const entries of entriesOf(session, client, request))
          for (const entry of entries) printEntry(session, entry, timestamps);
      },
      aboutMachine,
    );
}
