import {
  type CheckStatus,
  type GuestConfig,
  type Machine,
  type MachineEvent,
  MachineState,
} from "../../../gen/windhover/machines/v1/machine.ts";
import { stateName } from "../../render/names.ts";
import { table } from "../../render/table.ts";
import { ago, count, megabytes } from "../../render/time.ts";
import { harmless, type Paint } from "../../session/terminal.ts";

/** A state in its colour: green runs, red failed, yellow is in transition. */
export function stateText(state: MachineState, paint: Paint): string {
  const name = stateName(state);
  if (state === MachineState.STARTED) return paint.green(name);
  if (state === MachineState.FAILED || state === MachineState.LAUNCH_FAILED) return paint.red(name);
  return AT_REST.has(state) ? name : paint.yellow(name);
}

const AT_REST: ReadonlySet<MachineState> = new Set([
  MachineState.CREATED,
  MachineState.STOPPED,
  MachineState.SUSPENDED,
  MachineState.DESTROYED,
]);

/** `yes`, `no: db, http`, `-` for a machine that does not run: with the checks that do not pass. */
export function readyText({ state, ready, checks }: Machine): string {
  if (state !== MachineState.STARTED) return "-";
  const failing = checks.filter(({ status }) => status !== "passing").map(({ name }) => name);
  const which = failing.length === 0 ? "" : `: ${harmless(failing.join(", "))}`;
  return ready ? `yes${which === "" ? "" : `, failing${which}`}` : `no${which}`;
}

/** `1 shared CPU, 256 MB`. */
export function guestText(guest: GuestConfig | undefined): string {
  if (!guest) return "-";
  return `${count(guest.cpus, `${guest.cpuKind || "shared"} CPU`)}, ${megabytes(guest.memoryMb)}`;
}

/** The addresses of a machine: `127.0.0.1:20001 → 8080/tcp`; `-` for none. */
export function addressText(machine: Machine): string {
  const list = machine.serviceAddresses.map((a) => `${a.address} → ${a.internalPort}/${a.protocol}`);
  return list.join(", ") || "-";
}

/** A table of checks, those that fail first. */
export function checkTable(checks: readonly CheckStatus[], width: number | undefined): readonly string[] {
  const now = Date.now();
  const columns = [
    { title: "CHECK" },
    { title: "STATUS" },
    { title: "UPDATED" },
    { title: "OUTPUT", min: 20 },
  ];
  const rank = ({ status }: CheckStatus) => (status === "passing" ? 1 : 0);
  const rows = checks
    .toSorted((a, b) => rank(a) - rank(b))
    .map(({ name, status, updateTime, output }) => [name, status, ago(updateTime, now), output]);
  return table(columns, rows, width);
}

/** A table of events. */
export function eventTable(events: readonly MachineEvent[], width: number | undefined): readonly string[] {
  const now = Date.now();
  const titles = ["EVENT", "TYPE", "STATE", "SOURCE"].map((title) => ({ title }));
  const rows = events.map((event) => [
    ago(event.time, now),
    event.type,
    stateName(event.status),
    event.source,
    eventText(event),
  ]);
  return table([...titles, { title: "", min: 20 }], rows, width);
}

/** An event in a few words. */
export function eventText({ message, exit, reason }: MachineEvent): string {
  // The exit is in the message, too.
  const what = exit ? `${exitText(exit)}${exit.restarting ? ", starts again" : ""}` : message;
  const parts = [what, reason ? `(${reason})` : ""];
  return harmless(parts.filter((part) => part !== "").join(" "));
}

/** `exit code 3`, `ended by SIGKILL, out of memory`. */
export function exitText(exit: NonNullable<MachineEvent["exit"]>): string {
  const code = exit.exitCode === undefined ? "exit code unknown" : `exit code ${exit.exitCode}`;
  const how = exit.signal === "" ? code : `ended by ${exit.signal}`;
  return `${how}${exit.oomKilled ? ", out of memory" : ""}${exit.requestedStop ? ", as requested" : ""}`;
}

/** Reads the outcome of a start. A program that has ended with exit code 0 is a success. */
export function startOutcome(machine: Machine): { readonly ok: boolean; readonly text: string } {
  const { state, events } = machine;
  if (state === MachineState.STARTED) return { ok: true, text: "started" };
  const exit = events.find((event) => event.exit)?.exit;
  if (state === MachineState.STOPPED && exit) {
    const text = `started, and its program has ended: ${exitText(exit)}`;
    return { ok: exit.exitCode === 0 && exit.signal === "", text };
  }
  const failure = events.find((event) => event.type === "failure");
  return { ok: false, text: `${stateName(state)}${failure ? `: ${eventText(failure)}` : ""}` };
}
