import type { MachineEvent } from "../../../../gen/windhover/machines/v1/machine.ts";
import { toJson } from "../../../render/json.ts";
import type { HoverCommand } from "../../command.ts";
import { APP_FLAG, type AppFlag, aboutMachine, machineId, machinesClient } from "../../find.ts";
import { whole } from "../../values.ts";
import { eventTable } from "../machine-text.ts";

const DEFAULT_LIMIT = 20;
const MAX_PAGE = 1_000;

export function defineEvents(machine: HoverCommand): void {
  machine
    .leaf("events [machine]", "Shows what happened to a machine, newest first")
    .asksForMachine()
    .option(...APP_FLAG)
    .option("-n, --limit <n>", `how many (default: ${DEFAULT_LIMIT})`, whole(1, 100_000))
    .examples("hover machine events ID", "hover machine events ID -n 200 --json")
    .runs<[string], AppFlag & { limit?: number }>(
      async (session, [idOrName], { limit = DEFAULT_LIMIT, ...flags }) => {
        const client = await machinesClient(session);
        const id = await machineId(session, client, idOrName, flags);
        const events: MachineEvent[] = [];
        let pageToken = "";
        do {
          const pageSize = Math.min(MAX_PAGE, limit - events.length);
          const request = { machineId: id, pageSize, pageToken };
          const page = await session.call(client, client.listMachineEvents, request);
          events.push(...page.events);
          pageToken = page.nextPageToken;
        } while (pageToken !== "" && events.length < limit);
        if (session.json) session.printJson(events.map((event) => toJson(event)));
        else if (events.length === 0) session.say("No events.");
        else session.printLines(eventTable(events, session.terminal.width));
      },
      aboutMachine,
    );
}
