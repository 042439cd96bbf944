import type { MachineEvent } from "../../../gen/windhover/machines/v1/machine.ts";
import { signalNumber } from "../../../lib/signals/signals.ts";
import { stateFromProto } from "../../machines/convert-machine.ts";
import type { JsonObject } from "./json.ts";

/** Fly's number for no signal, and for an unknown exit code. */
const NONE = -1;

/**
 * Converts events, without those of checks and readiness: Fly has none, and its clients take the newest
 * event for the last start or end.
 */
export function eventsToJson(events: readonly MachineEvent[]): JsonObject[] {
  return events.filter(({ type }) => type !== "ready" && type !== "check").map(eventToJson);
}

/**
 * Converts an event into Fly's vocabulary: a start that failed is an `exit` with an error, and the
 * source of events without a call is `flyd`.
 */
export function eventToJson(event: MachineEvent): JsonObject {
  const { id, type, source, time } = event;
  const request = requestToJson(event);
  return {
    id,
    type: type === "failure" ? "exit" : type,
    status: statusOf(event),
    source: source === "user" && !isLeftStopped(event) ? "user" : "flyd",
    timestamp: time?.getTime() ?? 0,
    ...(request === undefined ? {} : { request }),
  };
}

/** Returns Fly's status: `created` for a launch and `stopped` for an exit, whatever state follows. */
function statusOf({ type, status }: MachineEvent): string {
  if (type === "launch") return "created";
  return type === "exit" ? "stopped" : stateFromProto(status);
}

/** Whether an update left a stopped machine stopped. flyctl knows that by the source `flyd`. */
function isLeftStopped({ type, status }: MachineEvent): boolean {
  return type === "update" && stateFromProto(status) === "stopped";
}

function requestToJson(event: MachineEvent): JsonObject | undefined {
  const { type, restartCount } = event;
  if (type === "start" || type === "restart") return { restart_count: restartCount };
  if (type !== "exit" && type !== "failure") return undefined;
  return { exit_event: exitToJson(event), restart_count: restartCount };
}

function exitToJson({ exit, type, message, time }: MachineEvent): JsonObject {
  const code = exit?.exitCode ?? NONE;
  const signal = signalNumber(exit?.signal ?? "") ?? NONE;
  const error = type === "failure" ? message : "";
  return {
    requested_stop: exit?.requestedStop ?? false,
    restarting: exit?.restarting ?? false,
    guest_exit_code: code,
    guest_signal: signal,
    guest_error: "",
    exit_code: code,
    signal,
    error,
    oom_killed: exit?.oomKilled ?? false,
    exited_at: (exit?.exitTime ?? time ?? new Date(0)).toISOString(),
  };
}
