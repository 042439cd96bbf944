import type { MachinesServiceClient } from "../../gen/windhover/machines/v1/machines.ts";
import { Fault } from "../../lib/runtime/fault.ts";
import { sleep } from "../../lib/runtime/wait.ts";
import { isApiAway } from "../hints.ts";
import type { Progress } from "../render/progress.ts";
import type { Session } from "../session.ts";
import type { Settings } from "../settings.ts";

const AGAIN_MS = 500;

/** Follows a create and shows its steps until `ended` aborts. What goes wrong with the following is nobody's concern: never throws. */
export async function followCreate(
  session: Session,
  client: MachinesServiceClient,
  requestId: string,
  progress: Progress,
  ended: AbortSignal,
): Promise<void> {
  const { openStream } = await import("../grpc.ts");
  const scope = {
    ...(await session.scope(Number.POSITIVE_INFINITY)),
    signal: AbortSignal.any([ended, session.signal]),
  };
  while (!scope.signal.aborted) {
    try {
      for await (const step of openStream(client, client.watchCreate, { requestId }, scope))
        progress.step(step);
      return;
    } catch (err) {
      // Not known yet, or the api is being replaced. Anything else will not get better.
      const mayCome =
        isConnectionLoss(err, session.settings) ||
        (err instanceof Fault && err.reason === "CREATE_NOT_FOUND");
      if (!mayCome) return;
      await sleep(AGAIN_MS, scope.signal);
    }
  }
}

/** Whether an error says that the api went away, rather than that it refused. */
export function isConnectionLoss(err: unknown, settings: Settings): boolean {
  if (!(err instanceof Fault)) return false;
  if (isApiAway(err, settings) || err.reason === "SERVER_DRAINING") return true;
  // A server that is cut off resets its streams, which grpc-js reports as CANCELLED or INTERNAL and not as UNAVAILABLE.
  if (err.reason === "CANCELLED") return true;
  return err.reason === "INTERNAL" && /RST_STREAM|connection/i.test(err.message);
}
