import type { Machine } from "../../../gen/windhover/machines/v1/machine.ts";
import type { UpdateMetadataRequest } from "../../../gen/windhover/machines/v1/machines.ts";
import { mapFromProto } from "../../../lib/grpc/messages/maps.ts";
import { table } from "../../render/table.ts";
import { UsageError } from "../../session/faults/usage-error.ts";
import type { Session } from "../../session/session.ts";
import type { HoverCommand } from "../command.ts";
import { APP_FLAG, type AppFlag, aboutMachine, machineId, machinesClient } from "../find.ts";
import { pair } from "../values.ts";

type Change = Pick<UpdateMetadataRequest, "set" | "remove" | "replace">;
type Flags = AppFlag & { readonly currentVersion?: string };

export function defineMetadata(machine: HoverCommand): void {
  const metadata = machine.group("metadata", [], "Labels of a machine: changed without a restart");
  metadata
    .leaf("show [machine]", "Shows the labels of a machine")
    .asksForMachine()
    .aliases(["list", "ls"])
    .option(...APP_FLAG)
    .examples("hover machine metadata show ID")
    .runs<[string], AppFlag>(async (session, [idOrName], flags) => {
      const client = await machinesClient(session);
      const id = await machineId(session, client, idOrName, flags);
      const { machine } = await session.call(client, client.getMachine, { machineId: id });
      show(session, machine);
    }, aboutMachine);
  const set = metadata
    .leaf("set <machine> <name=value...>", "Sets labels of a machine")
    .option("--replace", "remove all others")
    .examples("hover machine metadata set ID team=blue tier=web");
  change(set).runs<[string, string[]], Flags & { replace?: boolean }>(
    (session, [id, pairs], flags) => {
      const given = pairs.reduce<Record<string, string>>((all, raw) => pairOf(raw, all), {});
      const change = { set: new Map(Object.entries(given)), remove: [], replace: flags.replace === true };
      return update(session, id, change, flags);
    },
    ([id], flags) => aboutMachine([id], flags),
  );
  const unset = metadata
    .leaf("unset <machine> <name...>", "Removes labels of a machine")
    .examples("hover machine metadata unset ID tier");
  change(unset).runs<[string, string[]], Flags>(
    (session, [id, remove], flags) => update(session, id, { set: new Map(), remove, replace: false }, flags),
    ([id], flags) => aboutMachine([id], flags),
  );
}

function change(command: HoverCommand): HoverCommand {
  return command
    .option(...APP_FLAG)
    .option("--current-version <id>", "fail when the machine has another version now");
}

function pairOf(raw: string, before: Record<string, string>): Record<string, string> {
  try {
    return pair(raw, before);
  } catch (err) {
    throw new UsageError(err instanceof Error ? err.message : String(err));
  }
}

async function update(session: Session, given: string, change: Change, flags: Flags): Promise<void> {
  const client = await machinesClient(session);
  const machineIdOf = await machineId(session, client, given, flags);
  const { machine } = await session.call(client, client.updateMetadata, {
    machineId: machineIdOf,
    ...change,
    currentVersion: flags.currentVersion ?? "",
  });
  show(session, machine);
}

function show(session: Session, machine: Machine | undefined): void {
  const metadata = mapFromProto(machine?.config?.metadata);
  const rows = Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1));
  const columns = [
    { title: "NAME", min: 12 },
    { title: "VALUE", min: 10 },
  ];
  if (session.json) session.printJson(metadata);
  else if (rows.length === 0) session.say("No labels.");
  else session.printLines(table(columns, rows, session.terminal.width));
}
