import { HostEvent, type ReportEventsRequest } from "../../gen/windhover/admin/v1/hosts.ts";
import { takeBytes } from "../../lib/grpc/messages/batches.ts";
import type { HostIdentity } from "../convert-host.ts";
import { eventToProto, machineToProto, statusToProto } from "../convert-machine.ts";
import type { OutboxEntry } from "../store/store.ts";
import type { BatchOptions } from "./outbox.ts";

/**
 * Makes a report of the first changes, as many as fit into `maxBytes`. A machine is whole in a change with a new configuration,
 * and when `isWhole` in the first of the report. Otherwise only its status is sent.
 */
export function reportToProto(
  { number, identity, name }: Pick<HostIdentity, "number" | "identity" | "name">,
  entries: readonly OutboxEntry[],
  { maxBytes, isWhole }: BatchOptions,
): ReportEventsRequest {
  return {
    hostNumber: number,
    identity,
    events: takeBytes(eventsToProto(entries, name, isWhole), maxBytes, bytesOf),
  };
}

function* eventsToProto(
  entries: readonly OutboxEntry[],
  hostName: string,
  isWhole: boolean,
): Generator<HostEvent> {
  const sent = new Set<string>();
  for (const { sequence, machine, event, isWhole: isNew } of entries) {
    const described =
      isNew || machine.generation === 1 || (isWhole && !sent.has(machine.id))
        ? { machine: machineToProto(machine, hostName, ["events"]), status: undefined }
        : { machine: undefined, status: statusToProto(machine) };
    sent.add(machine.id);
    yield { sequence: BigInt(sequence), ...described, event: event && eventToProto(event) };
  }
}

function bytesOf(event: HostEvent): number {
  return HostEvent.encode(event).finish().length;
}
