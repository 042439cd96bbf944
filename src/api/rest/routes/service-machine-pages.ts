import {
  type ListMachinesRequest,
  type ListMachinesResponse,
  MachinesServiceService,
} from "../../../gen/windhover/machines/v1/machines.ts";
import { Fault } from "../../../lib/faults/fault.ts";
import { sleep } from "../../../lib/runtime/wait.ts";
import { type MachineJsonOptions, machineToJson } from "../convert/convert-machine.ts";
import type { RestRequest } from "../requests/route.ts";

type Request = Pick<RestRequest<never, never>, "also" | "caller">;

/** How long a list waits, in all, for its organisation's rate. */
const RATE_WAIT_MS = 60_000;

/** Writes a list page by page: as a whole it may be too large for memory. */
export async function* pagesToJson(
  request: Request,
  list: ListMachinesRequest,
  first: ListMachinesResponse,
  options: MachineJsonOptions,
): AsyncGenerator<string> {
  const untilMs = performance.now() + RATE_WAIT_MS;
  let { machines, nextPageToken } = first;
  let separator = "[";
  for (;;) {
    if (machines.length > 0) {
      const text = machines.map((machine) => JSON.stringify(machineToJson(machine, options))).join(",");
      yield `${separator}${text}`;
      separator = ",";
    }
    if (nextPageToken === "") break;
    ({ machines, nextPageToken } = await nextPage(request, { ...list, pageToken: nextPageToken }, untilMs));
  }
  yield separator === "[" ? "[]" : "]";
}

/**
 * Reads a page of a list that has begun. Its status was sent long ago, so that it waits for the rate
 * instead of breaking off.
 */
async function nextPage(
  request: Request,
  list: ListMachinesRequest,
  untilMs: number,
): Promise<ListMachinesResponse> {
  const { signal } = request.caller;
  for (;;) {
    try {
      return await request.also(MachinesServiceService.listMachines, list);
    } catch (err) {
      const isRate = err instanceof Fault && err.reason === "RATE_LIMITED";
      if (!isRate || signal.aborted || performance.now() > untilMs) throw err;
      await sleep(err.retryAfterMs ?? 0, signal);
    }
  }
}
