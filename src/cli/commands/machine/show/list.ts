import { HostStatus, type Machine, MachineState } from "../../../../gen/windhover/machines/v1/machine.ts";
import { mapToProto } from "../../../../lib/grpc/messages/maps.ts";
import { toJson } from "../../../render/json.ts";
import { STATE_NAMES, stateName, stateNumber } from "../../../render/names.ts";
import { type Column, table } from "../../../render/table.ts";
import { ago } from "../../../render/time.ts";
import { UsageError } from "../../../session/faults/usage-error.ts";
import type { HoverCommand } from "../../command.ts";
import { type AppFlag, allMachines, appOf, machinesClient } from "../../find.ts";
import { pair, words } from "../../values.ts";
import { readyText } from "../machine-text.ts";

const COLUMNS: readonly Column[] = [
  { title: "ID" },
  { title: "NAME", min: 8 },
  { title: "STATE" },
  { title: "READY", min: 5, dropRank: 5 },
  { title: "APP", min: 6, dropRank: 1 },
  { title: "REGION", dropRank: 4 },
  { title: "HOST", min: 6, dropRank: 3 },
  { title: "IMAGE", min: 10, lose: "start" },
  { title: "ADDRESS", min: 15 },
  { title: "CREATED", dropRank: 2 },
];

interface ListFlags extends AppFlag {
  readonly quiet?: boolean;
  readonly state?: readonly string[];
  readonly region?: readonly string[];
  readonly metadata?: Readonly<Record<string, string>>;
}

export function defineList(machine: HoverCommand): void {
  machine
    .leaf("list", "Lists machines")
    .alias("ls")
    .option("-a, --app <app>", "only this app (default: WINDHOVER_APP, else all of your organisation)")
    .option("-q, --quiet", "print ids only")
    .option("--state <states>", "only these states, with commas; `all` for destroyed ones too", words)
    .option("-r, --region <regions>", "only in these regions, with commas", words)
    .option("-m, --metadata <NAME=VALUE>", "only with this label; may be repeated", pair)
    .examples("hover machine list -a web", "hover machine list --state started -q")
    .runs<[], ListFlags>(
      async (session, _args, flags) => {
        const states = statesOf(flags.state);
        const app = appOf(session, flags);
        const regions = [...(flags.region ?? [])];
        const wanted = { app, states, regions, metadata: mapToProto(flags.metadata) };
        const client = await machinesClient(session);
        const machines = await Array.fromAsync(allMachines(session, client, wanted));
        if (session.json) session.printJson(machines.map((machine) => toJson(machine)));
        else if (flags.quiet) session.printLines(machines.map((machine) => machine.id));
        else if (machines.length === 0) {
          session.say(`No machines${app === undefined ? "" : ` in the app ${app}`}.`);
          session.suggest(`hover machine run IMAGE -a ${app ?? "APP"}`);
        } else {
          session.printLines(table(COLUMNS, machines.map(row), session.terminal.width));
          if (!machines.some(isDoubtful)) return;
          session.say("?  the machine's host does not answer; the state is the last one stored.");
          session.suggest("hover host list");
        }
      },
      (_args, { app }) => ({ app }),
    );
}

/**
 * Reads the states that `--state` names; `all` is all of them.
 *
 * @throws UsageError
 */
export function statesOf(names: readonly string[] = []): MachineState[] {
  return (names.includes("all") ? STATE_NAMES : names).map((name) => {
    const state = stateNumber(name);
    if (state !== undefined) return state;
    throw new UsageError(`There is no state "${name}"; states are ${STATE_NAMES.join(", ")}.`);
  });
}

function row(machine: Machine): string[] {
  return [
    machine.id,
    machine.name,
    `${stateName(machine.state)}${isDoubtful(machine) ? "?" : ""}`,
    readyText(machine),
    machine.app,
    machine.region,
    machine.host,
    machine.config?.image ?? "-",
    machine.serviceAddresses.map((service) => service.address).join(", ") || "-",
    ago(machine.createTime, Date.now()),
  ];
}

/** Whether the state may have changed on a host that does not answer. Destroyed is final. */
function isDoubtful({ hostStatus, state }: Machine): boolean {
  return hostStatus === HostStatus.UNREACHABLE && state !== MachineState.DESTROYED;
}
