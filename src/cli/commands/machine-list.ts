import type { Machine } from "../../gen/windhover/machines/v1/machine.ts";
import type { AppFlag } from "../define/machine.ts";
import { type Column, table } from "../render/table.ts";
import { ago } from "../render/time.ts";
import type { Handler } from "../runner.ts";
import { hostStatusName, machineJson } from "../show/machine-json.ts";
import { STATE_NAMES, stateName, stateNumber } from "../show/states.ts";
import { UsageError } from "../usage-error.ts";
import { allMachines, appOf, machinesClient } from "./find.ts";

const COLUMNS: readonly Column[] = [
  { title: "ID" },
  { title: "NAME", min: 8 },
  { title: "STATE" },
  { title: "APP", min: 6, dropRank: 1 },
  { title: "REGION", dropRank: 4 },
  { title: "HOST", min: 6, dropRank: 3 },
  { title: "IMAGE", min: 10, lose: "start" },
  { title: "ADDRESS", min: 15 },
  { title: "CREATED", dropRank: 2 },
];

/** `hover machine list`. */
export const listMachines: Handler<[], AppFlag & { quiet?: boolean; state?: readonly string[] }> = async (
  session,
  _args,
  flags,
) => {
  const states = statesOf(flags.state);
  const client = await machinesClient(session);
  const app = appOf(session, flags);
  const machines: Machine[] = [];
  for await (const machine of allMachines(session, client, {
    ...(app === undefined ? {} : { app }),
    states,
  })) {
    machines.push(machine);
  }
  if (session.json) session.printJson(machines.map(machineJson));
  else if (flags.quiet) session.printLines(machines.map((machine) => machine.id));
  else if (machines.length === 0) session.say(nothing(app));
  else {
    session.printLines(table(COLUMNS, machines.map(row), session.terminal.width));
    if (machines.some(isHostAway)) session.say(AWAY);
  }
  return undefined;
};

/**
 * The states that `--state` names; `all` is all of them.
 *
 * @throws UsageError
 */
export function statesOf(names: readonly string[] | undefined): Machine["state"][] {
  const wanted = names?.includes("all") ? STATE_NAMES : (names ?? []);
  return wanted.map((name) => {
    const state = stateNumber(name);
    if (state === undefined) {
      throw new UsageError(`There is no state "${name}"; states are ${STATE_NAMES.join(", ")}.`);
    }
    // The table of names has the numbers of the contract.
    return state as Machine["state"];
  });
}

function row(machine: Machine): string[] {
  return [
    machine.id,
    machine.name,
    `${stateName(machine.state)}${isHostAway(machine) ? "?" : ""}`,
    machine.app,
    machine.region,
    machine.host,
    machine.config?.image ?? "-",
    machine.serviceAddresses.map((service) => service.address).join(", ") || "-",
    ago(machine.createTime, Date.now()),
  ];
}

/** Its host is known not to answer, and could tell of it still: destroyed is for good. */
function isHostAway({ hostStatus, state }: Machine): boolean {
  return hostStatusName(hostStatus) === "unreachable" && stateName(state) !== "destroyed";
}

const AWAY =
  "?  the machine's host does not answer; the state is the last one recorded.\nNext: hover host list";

function nothing(app: string | undefined): string {
  return `No machines${app === undefined ? "" : ` in the app ${app}`}.\nNext: hover machine run IMAGE -a ${app ?? "APP"}`;
}
