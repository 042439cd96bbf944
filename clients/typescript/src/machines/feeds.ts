import type { Caller } from "../calls/caller.ts";
import type { LogEntry } from "../gen/windhover/machines/v1/machine.ts";
import {
  MachinesServiceClient,
  type StreamLogsRequest,
  type StreamLogsResponse,
  type WatchMachinesRequest,
  type WatchMachinesResponse,
} from "../gen/windhover/machines/v1/machines.ts";
import { eventFromProto, type Machine, type MachineEvent, machineFromProto } from "../values/machine.ts";
import type { LogOptions, WatchOptions } from "./requests.ts";
import { DEFAULTS } from "./timeouts.ts";

/** One line of a machine's output. */
export type LogLine = LogEntry;

/** A change of a machine. */
export interface MachineChange {
  /** The machine after it, without configuration and events. */
  readonly machine: Machine;
  /** What happened. Absent for a present state, and when only fields changed. */
  readonly event: MachineEvent | undefined;
  /**
   * Goes on after this change as `after`. Changes that arrived together with this one, and before
   * it, may then come again; none is left out.
   */
  readonly position: string;
}

/** Reads changes, by position over lost connections. */
export async function* machineChanges(
  caller: Caller,
  options: WatchOptions,
): AsyncGenerator<MachineChange, void, undefined> {
  const { machineIds = [], app = "", after = "", ...scope } = options;
  const request: WatchMachinesRequest = { machineIds: [...machineIds], app, afterPosition: after };
  const next = (asked: WatchMachinesRequest, { position }: WatchMachinesResponse) => ({
    ...asked,
    afterPosition: position === "" ? asked.afterPosition : position,
  });
  const method = (client: MachinesServiceClient) => client.watchMachines;
  let before = after;
  const batches = caller.stream(MachinesServiceClient, method, request, next, { ...scope, endless: true });
  for await (const { changes, position } of batches) {
    for (const [index, { machine, event }] of changes.entries()) {
      yield {
        machine: machineFromProto(machine),
        event: event && eventFromProto(event),
        position: index === changes.length - 1 ? position : before,
      };
    }
    if (position !== "") before = position;
  }
}

/** Reads lines, by sequence over lost connections. */
export async function* logLines(
  caller: Caller,
  machineId: string,
  { follow = false, tail, after = 0n, since, timeoutMs, signal }: LogOptions,
): AsyncGenerator<LogLine, void, undefined> {
  const request: StreamLogsRequest = { machineId, follow, tail, since, afterSequence: after };
  const next = (asked: StreamLogsRequest, { entries, position }: StreamLogsResponse) => ({
    ...asked,
    // Lines from before it would come again.
    tail: undefined,
    afterSequence: position ?? entries.at(-1)?.sequence ?? asked.afterSequence,
  });
  const method = (client: MachinesServiceClient) => client.streamLogs;
  const scope = { timeoutMs: timeoutMs ?? (follow ? undefined : 4 * DEFAULTS.callMs), signal };
  for await (const { entries } of caller.stream(MachinesServiceClient, method, request, next, scope)) {
    yield* entries;
  }
}
