import type {
  CreateMachineRequest,
  CreateMachineResponse,
  MachinesServiceClient,
} from "../../../../gen/windhover/machines/v1/machines.ts";
import { backoffMs } from "../../../../lib/runtime/backoff.ts";
import { sleep } from "../../../../lib/runtime/wait.ts";
import { Progress } from "../../../render/progress.ts";
import type { RootSpan } from "../../../session/root-span.ts";
import type { Session } from "../../../session/session.ts";
import { followCreate, isConnectionLoss } from "./create-follow.ts";

/** A create may have to pull and flatten a large image. */
const TIMEOUT_MS = 15 * 60_000;
/** How long an API that had answered may be away: it restarts, or another takes over. */
const OUTAGE_LIMIT_MS = 60_000;
/** A call that lasted this long had reached the API. */
const REACHED_MS = 1_000;
const RETRY = { firstMs: 200, maxMs: 2_000 };

/** Creates, and repeats the call with the same request id when the API goes away. */
export async function createWithRetry(
  session: Session,
  client: MachinesServiceClient,
  request: CreateMachineRequest,
  span: RootSpan,
): Promise<CreateMachineResponse> {
  const progress = new Progress(session.terminal, session.json);
  const ended = new AbortController();
  const following = followCreate(session, client, request.requestId, progress, ended.signal);
  const deadline = performance.now() + TIMEOUT_MS;
  let goneSince: number | undefined;
  try {
    for (let attempt = 0; ; attempt++) {
      const askedAt = performance.now();
      try {
        const options = { timeoutMs: deadline - askedAt, span };
        return await session.call(client, client.createMachine, request, options);
      } catch (err) {
        const hadReached = performance.now() - askedAt > REACHED_MS;
        // An API that never answered is not there: the error is shown at once.
        const mayRetry = attempt > 0 || hadReached || progress.hasBegun;
        if (session.signal.aborted) sayInterrupted(session, request);
        if (session.signal.aborted || !mayRetry || !isConnectionLoss(err, session.settings)) throw err;
        if (hadReached) goneSince = undefined;
        goneSince ??= performance.now();
        if (performance.now() - goneSince > OUTAGE_LIMIT_MS) throw err;
        progress.note("the API does not answer; asking again with the same request id");
        await sleep(backoffMs(RETRY, attempt), session.signal);
        session.signal.throwIfAborted();
      }
    }
  } finally {
    ended.abort();
    await following;
    progress.close();
  }
}

function sayInterrupted(session: Session, { app, requestId }: CreateMachineRequest): void {
  session.say(`Interrupted; the create itself goes on. To see it: hover machine list -a ${app}`);
  session.say(`To wait for it: the same command with --request-id ${requestId}`);
}
