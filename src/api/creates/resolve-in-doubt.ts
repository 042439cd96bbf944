import { hasReason } from "../../lib/faults/fault.ts";
import { logger } from "../../lib/runtime/log.ts";
import type { Hostd } from "../hosts/hostd.ts";
import { destroyAttempt } from "./saga/create-tools.ts";
import { inDoubtAttempts } from "./store/create-state.ts";
import type { InDoubtCreate, SagaStore } from "./store/saga-store.ts";

/** Creates that are resolved at a time. */
const MAX_PARALLEL = 16;
const DESTROY_TIMEOUT_MS = 2_000;
/** No award can arrive after this: its hold has expired (5 s by default, and 1 s on the host). */
const HOLD_EXPIRED_MS = 8_000;
/** A host that is away for longer is left to the sweeper. */
const RESOLVE_LIMIT_MS = 24 * 60 * 60_000;

export interface InDoubtParts {
  readonly sagas: Pick<SagaStore, "claimInDoubt" | "markResolved">;
  readonly hostd: Pick<Hostd, "destroyMachine">;
}

/**
 * Resolves the creates in doubt that are due: destroys the machine on every host that did not
 * answer its award, until the host confirms when no award can arrive any more.
 */
export async function resolveInDoubt(parts: InDoubtParts, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const due = await parts.sagas.claimInDoubt(MAX_PARALLEL);
    await Promise.all(due.map((create) => resolve(parts, create, signal)));
    if (due.length < MAX_PARALLEL) return;
  }
}

async function resolve(
  { sagas, hostd }: InDoubtParts,
  { id, state, endedMs }: InDoubtCreate,
  signal: AbortSignal,
): Promise<void> {
  const limits = { signal, remainingMs: DESTROY_TIMEOUT_MS };
  const results = await Promise.allSettled(
    inDoubtAttempts(state).map((attempt) => destroyAttempt(hostd, attempt, limits)),
  );
  const failed = results.find((result) => result.status === "rejected");
  if (failed && endedMs < RESOLVE_LIMIT_MS) {
    const log = hasReason(failed.reason, "HOST_UNREACHABLE") ? logger.debug : logger.warn;
    log("an unwanted machine could not be destroyed yet", { create_id: id, error: failed.reason });
    return;
  }
  if (endedMs >= HOLD_EXPIRED_MS) await sagas.markResolved(id);
}
