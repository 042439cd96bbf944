import type { ListMachinesRequest, ListMachinesResponse } from "../gen/windhover/hostd/v1/hostd.ts";
import { Machine as MachineProto } from "../gen/windhover/machines/v1/machine.ts";
import { Fault } from "../lib/faults/fault.ts";
import { MAX_LIST_BYTES, takeBytes } from "../lib/grpc/messages/batches.ts";
import { machineToProto } from "./convert-machine.ts";
import type { Machine } from "./machines/machine.ts";

const MAX_PAGE_SIZE = 1_000;

/**
 * Makes a page of a list of machines.
 *
 * @param machines all of them, by id
 * @throws Fault LIST_TOO_LARGE when the caller knows no pages and there would be another
 */
export function listToProto(
  machines: readonly Machine[],
  { pageSize, pageToken, withoutConfig }: ListMachinesRequest,
  hostName: string,
): ListMachinesResponse {
  const left = machines.filter(({ id }) => id > pageToken);
  const size = pageSize > 0 ? Math.min(pageSize, MAX_PAGE_SIZE) : left.length;
  const without = withoutConfig ? (["config", "events"] as const) : (["events"] as const);
  // Converted one by one: at most a page of them.
  const converted = (function* () {
    for (const machine of left.slice(0, size)) yield machineToProto(machine, hostName, without);
  })();
  const page = takeBytes(converted, MAX_LIST_BYTES, bytesOf);
  const isLast = page.length === left.length;
  if (!isLast && pageSize <= 0) throw tooLarge(left.length);
  return { machines: page, nextPageToken: isLast ? "" : (page.at(-1)?.id ?? "") };
}

function bytesOf(machine: MachineProto): number {
  return MachineProto.encode(machine).finish().length;
}

function tooLarge(machines: number): Fault {
  return new Fault(
    "RESOURCE_EXHAUSTED",
    "LIST_TOO_LARGE",
    `a list of ${machines} machines does not fit into one message: set page_size`,
    { machines: String(machines) },
  );
}
