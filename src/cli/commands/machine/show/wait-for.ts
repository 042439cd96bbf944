import type {
  MachinesServiceClient,
  WaitMachineRequest,
  WaitMachineResponse,
} from "../../../../gen/windhover/machines/v1/machines.ts";
import { hasReason } from "../../../../lib/faults/fault.ts";
import { durationToProto } from "../../../../lib/grpc/messages/duration.ts";
import { Absence } from "../../../session/absence.ts";
import type { Session } from "../../../session/session.ts";

const DEFAULT_MS = 60_000;
/** The longest that the server waits in one call. */
const MAX_MS = 300_000;
/** The server keeps the timeout; this is for the network. */
const MARGIN_MS = 5_000;

/** Conditions of a wait. */
export type Wanted = Pick<WaitMachineRequest, "machineId" | "states"> &
  Partial<Pick<WaitMachineRequest, "settled" | "ready" | "instanceId" | "afterEventId">>;

/** Waits for states of a machine, also while the API restarts. */
export async function waitFor(
  session: Session,
  client: MachinesServiceClient,
  wanted: Wanted,
  forMs: number | undefined,
): Promise<WaitMachineResponse> {
  const endMs = performance.now() + (forMs ?? DEFAULT_MS);
  const absence = new Absence(session);
  for (let leftMs = forMs; ; leftMs = Math.max(1, Math.ceil(endMs - performance.now()))) {
    const waitMs = leftMs === undefined ? undefined : Math.min(leftMs, MAX_MS);
    const request = {
      ...{ instanceId: "", afterEventId: "", settled: false, acrossCalls: false, ready: false },
      ...wanted,
      timeout: durationToProto(waitMs),
    };
    const timeoutMs = (waitMs ?? DEFAULT_MS) + MARGIN_MS;
    try {
      return await session.call(client, client.waitMachine, request, { timeoutMs });
    } catch (err) {
      if (performance.now() >= endMs) throw err;
      if (hasReason(err, "WAIT_TIMEOUT") && (leftMs ?? 0) > MAX_MS) continue;
      await absence.pause(err);
    }
  }
}
