import type { Machine } from "../../gen/windhover/machines/v1/machine.ts";
import type { AppFlag } from "../define/machine.ts";
import { table } from "../render/table.ts";
import { ago } from "../render/time.ts";
import type { Handler } from "../runner.ts";
import { configJson, machineJson } from "../show/machine-json.ts";
import { addressText, eventText, sizeText, stateText } from "../show/machine-text.ts";
import { stateName } from "../show/states.ts";
import { harmless, type Paint } from "../terminal.ts";
import { machineId, machinesClient } from "./find.ts";

/** `hover machine status`. */
export const showMachine: Handler<[string], AppFlag & { displayConfig?: boolean }> = async (
  session,
  [idOrName],
  flags,
) => {
  const client = await machinesClient(session);
  const id = await machineId(session, client, idOrName, flags);
  const { machine } = await session.call(client, client.getMachine, { machineId: id });
  if (session.json) session.printJson(machine ? machineJson(machine) : null);
  else if (machine) {
    const { paint, width } = session.terminal;
    session.printLines(factLines(machine, paint));
    if (machine.events.length > 0) session.printLines(["", ...eventLines(machine, width)]);
    if (flags.displayConfig && machine.config) {
      session.printLines([
        "",
        "CONFIG",
        ...JSON.stringify(configJson(machine.config), undefined, 2).split("\n"),
      ]);
    }
  }
  return undefined;
};

const HOST_NOTES: Readonly<Record<number, string>> = {
  2: "  (the host does not answer; the state is the last one recorded)",
  3: "  (from the central record; the host was not asked)",
};

function factLines(machine: Machine, paint: Paint): string[] {
  const now = Date.now();
  const ref = machine.imageRef;
  const facts: [string, string][] = [
    ["id", machine.id],
    ["name", harmless(machine.name)],
    ["state", stateText(machine.state, paint) + (HOST_NOTES[machine.hostStatus] ?? "")],
    ["app", `${machine.app}  (organisation ${machine.org || "unknown"})`],
    ["host", `${machine.host || "-"}  (region ${machine.region || "-"})`],
    ["image", harmless(machine.config?.image ?? "-")],
    ...(ref ? [["", paint.dim(ref.digest)] satisfies [string, string]] : []),
    ["size", sizeText(machine)],
    ["address", addressText(machine)],
    ["created", ago(machine.createTime, now)],
    ["changed", `${ago(machine.updateTime, now)}  (generation ${machine.generation})`],
    [
      "last start",
      machine.lastStartPath === "" ? "never" : `${machine.lastStartPath}  (hover trace ${machine.id})`,
    ],
  ];
  return facts.map(([name, value]) => `${name.padEnd(12)}${value}`);
}

function eventLines(machine: Machine, width: number | undefined): readonly string[] {
  const now = Date.now();
  const rows = machine.events.map((event) => [
    ago(event.time, now),
    event.type,
    stateName(event.status),
    event.source,
    eventText(event),
  ]);
  const columns = [
    { title: "EVENT" },
    { title: "TYPE" },
    { title: "STATE" },
    { title: "SOURCE" },
    { title: "", min: 20 },
  ];
  return table(columns, rows, width);
}
