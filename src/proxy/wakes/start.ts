import { Fault } from "../../lib/faults/fault.ts";
import type { MachineView } from "../hosts/machine-view.ts";
import { prospectOf } from "../machines/machine-state.ts";

/** A start, of this proxy or of somebody else. Times are in milliseconds. */
export interface Start {
  readonly machineId: string;
  /** When it was asked for; of somebody else: when this proxy has heard of it. */
  readonly askedMs: number;
  /** When the host has answered. */
  startedMs: number | undefined;
  readyMs: number | undefined;
  /** Empty: it is not known. */
  path: string;
  traceId: string;
  /** Of the machine after the start. */
  generation: number;
  /** Traceparents of its span, and of that span's parent: what the first asked with. */
  span?: { readonly traceparent: string; readonly parent: string };
}

/** Makes a start that begins now. */
export function newStart(machineId: string, nowMs: number): Start {
  return {
    ...{ machineId, askedMs: nowMs, startedMs: undefined, readyMs: undefined },
    ...{ path: "", traceId: "", generation: 0 },
  };
}

/** What has become of a start that was answered. */
export type StartOutcome =
  | { readonly kind: "ready" | "pending" }
  | { readonly kind: "failed"; readonly fault: Fault };

/** Decides what has become of a start, by what the host has told of the machine. */
export function outcomeOf({ startedMs, generation }: Start, view: MachineView | undefined): StartOutcome {
  // The stream may be behind the answer: what it tells of earlier generations is old.
  if (startedMs === undefined || !view || view.generation < generation) return { kind: "pending" };
  if (view.state === "started" && view.ready) return { kind: "ready" };
  const prospect = prospectOf(view.state);
  return prospect === "asleep" || prospect === "none"
    ? { kind: "failed", fault: endedEarly(view) }
    : { kind: "pending" };
}

function endedEarly({ state, lastEventType }: MachineView): Fault {
  const how = lastEventType === "" ? "" : `, last event: ${lastEventType}`;
  const message = `the machine is ${state} again, before it was ready${how}`;
  return new Fault("FAILED_PRECONDITION", "NOT_READY", message, { state, last_event: lastEventType });
}
