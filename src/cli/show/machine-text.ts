import type { Machine, MachineEvent } from "../../gen/windhover/machines/v1/machine.ts";
import { megabytes } from "../render/time.ts";
import { harmless, type Paint } from "../terminal.ts";
import { stateName } from "./states.ts";

/** A state in its colour: green runs, red failed, dim is gone, yellow is on its way. */
export function stateText(state: number, paint: Paint): string {
  const name = stateName(state);
  if (name === "started") return paint.green(name);
  if (name === "failed" || name === "launch_failed") return paint.red(name);
  if (name === "stopped" || name === "created" || name === "destroyed" || name === "suspended") return name;
  return paint.yellow(name);
}

/** `1 shared CPU, 256 MB`. */
export function sizeText(machine: Machine): string {
  const guest = machine.config?.guest;
  if (!guest) return "-";
  const { cpus, cpuKind, memoryMb } = guest;
  return `${cpus} ${cpuKind || "shared"} CPU${cpus === 1 ? "" : "s"}, ${megabytes(memoryMb)}`;
}

/** Where the machine can be reached: `127.0.0.1:20001 → 8080/tcp`; several with commas, `-` for none. */
export function addressText(machine: Machine): string {
  const list = machine.serviceAddresses.map((a) => `${a.address} → ${a.internalPort}/${a.protocol}`);
  return list.length === 0 ? "-" : list.join(", ");
}

/** What an event says, in a few words. */
export function eventText(event: MachineEvent): string {
  const parts = [
    event.message,
    event.exit ? exitText(event.exit) : "",
    event.reason ? `(${event.reason})` : "",
  ];
  return harmless(parts.filter((part) => part !== "").join(" "));
}

/** `exit code 3`, `killed by SIGKILL, out of memory`. */
export function exitText(exit: NonNullable<MachineEvent["exit"]>): string {
  const how =
    exit.signal !== ""
      ? `ended by ${exit.signal}`
      : exit.exitCode === undefined
        ? "exit code unknown"
        : `exit code ${exit.exitCode}`;
  return `${how}${exit.oomKilled ? ", out of memory" : ""}${exit.requestedStop ? ", as asked" : ""}`;
}

/** How a machine stands after it was to be started. */
export interface Outcome {
  /** Its program runs, or has ended with exit code 0 already. */
  readonly ok: boolean;
  readonly text: string;
}

/** Reads the outcome of a start from the machine it returned. */
export function startOutcome(machine: Machine): Outcome {
  const name = stateName(machine.state);
  if (name === "started") return { ok: true, text: "started" };
  const exit = machine.events.find((event) => event.exit)?.exit;
  if (name === "stopped" && exit) {
    return {
      ok: exit.exitCode === 0 && exit.signal === "",
      text: `started, and its program has ended: ${exitText(exit)}`,
    };
  }
  const failure = machine.events.find((event) => event.type === "failure");
  const why = failure ? `: ${eventText(failure)}` : "";
  return { ok: false, text: `${name}${why}` };
}
