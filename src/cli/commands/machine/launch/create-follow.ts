import type { MachinesServiceClient } from "../../../../gen/windhover/machines/v1/machines.ts";
import { Fault, hasReason } from "../../../../lib/faults/fault.ts";
import { sleep } from "../../../../lib/runtime/wait.ts";
import type { Progress } from "../../../render/progress.ts";
import { isApiAway } from "../../../session/faults/hints.ts";
import type { Session } from "../../../session/session.ts";
import type { Settings } from "../../../session/settings.ts";

const RETRY_MS = 500;

/** Shows the steps of a create until `ended` aborts. Never throws. */
export async function followCreate(
  session: Session,
  client: MachinesServiceClient,
  requestId: string,
  progress: Progress,
  ended: AbortSignal,
): Promise<void> {
  const signal = AbortSignal.any([ended, session.signal]);
  const options = { timeoutMs: Number.POSITIVE_INFINITY, signal };
  while (!signal.aborted) {
    try {
      for await (const step of session.stream(client, client.watchCreate, { requestId }, options))
        progress.step(step);
      return;
    } catch (err) {
      // Not known yet, or the API is being replaced. Any other error would come again.
      if (!isConnectionLoss(err, session.settings) && !hasReason(err, "CREATE_NOT_FOUND")) return;
      await sleep(RETRY_MS, signal);
    }
  }
}

/** Whether an error means that the API went away, not that it refused. */
export function isConnectionLoss(err: unknown, settings: Settings): boolean {
  if (!(err instanceof Fault)) return false;
  if (isApiAway(err, settings) || err.reason === "SERVER_DRAINING") return true;
  // grpc-js reports a stream that a dying server resets as CANCELLED or INTERNAL, not as
  // UNAVAILABLE.
  if (err.reason === "CANCELLED") return true;
  return err.reason === "INTERNAL" && /RST_STREAM|connection/i.test(err.message);
}
