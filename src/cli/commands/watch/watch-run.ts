import type {
  MachineChange,
  MachinesServiceClient,
  WatchMachinesRequest,
} from "../../../gen/windhover/machines/v1/machines.ts";
import { hasReason } from "../../../lib/faults/fault.ts";
import { toJson } from "../../render/json.ts";
import { fitTo } from "../../render/text.ts";
import { Absence } from "../../session/absence.ts";
import { UsageError } from "../../session/faults/usage-error.ts";
import type { Session } from "../../session/session.ts";
import { harmless } from "../../session/terminal.ts";
import { type AppFlag, appOf, machineId, machinesClient } from "../find.ts";
import { eventText, stateText } from "../machine/machine-text.ts";

/** The flags of `hover watch`. */
export interface WatchFlags extends AppFlag {
  readonly org?: boolean;
  readonly after?: string;
}

const NAME_WIDTH = 20;

/** Prints changes of machines until Ctrl-C. */
export async function runWatch(session: Session, [given]: [string[]], flags: WatchFlags): Promise<void> {
  const client = await machinesClient(session);
  const app = flags.org ? undefined : appOf(session, flags);
  if (flags.org && (given.length > 0 || flags.app !== undefined))
    throw new UsageError("Either --org, or machines, or an app.");
  const machineIds: string[] = [];
  for (const one of new Set(given)) machineIds.push(await machineId(session, client, one, flags));
  const request = {
    machineIds,
    app: machineIds.length > 0 ? "" : (app ?? ""),
    afterPosition: flags.after ?? "",
  };
  for await (const { change, position } of changesOf(session, client, request)) {
    if (session.json) {
      const line = { position, machine: toJson(change.machine), event: toJson(change.event) };
      session.terminal.out(`${JSON.stringify(line)}\n`);
    } else session.printLines([lineOf(session, change)]);
  }
}

/** Reads changes, also while the API restarts: none is lost, and none comes twice. */
async function* changesOf(
  session: Session,
  client: MachinesServiceClient,
  first: WatchMachinesRequest,
): AsyncGenerator<{ readonly change: MachineChange; readonly position: string }> {
  const options = { timeoutMs: Number.POSITIVE_INFINITY };
  const absence = new Absence(session);
  for (let request = first; ; ) {
    try {
      for await (const answer of session.stream(client, client.watchMachines, request, options)) {
        absence.over();
        const { changes, position } = answer;
        for (const change of changes) yield { change, position };
        request = { ...request, afterPosition: position };
      }
      return;
    } catch (err) {
      if (hasReason(err, "POSITION_TOO_OLD") && request !== first) {
        session.say("Changes in between are not kept any more; this is what the machines are now.");
        request = { ...request, afterPosition: "" };
      } else await absence.pause(err);
    }
  }
}

function lineOf({ terminal }: Session, { machine, event }: MachineChange): string {
  const time = (event?.time ?? machine?.updateTime)?.toISOString() ?? "-";
  const what = event ? `${event.type} ${eventText(event)}`.trim() : "";
  const name = fitTo(harmless(machine?.name ?? "-"), NAME_WIDTH);
  const state = machine ? stateText(machine.state, terminal.paint) : "-";
  return [terminal.paint.dim(time), machine?.id ?? "-", name, state, what].join("  ").trimEnd();
}
