import { Fault } from "../../../faults/fault.ts";

const RETRY_MS = 1_000;

/** Makes the fault for one call too many without a token. */
export function tooManyOpenCalls(limit: number): Fault {
  return new Fault(
    "RESOURCE_EXHAUSTED",
    "TOO_MANY_OPEN_CALLS",
    `at most ${limit} such calls without a token run at a time; send a token, or try again`,
    { limit: String(limit) },
    { retryAfterMs: RETRY_MS },
  );
}

export function requestTooLarge(limit: number): Fault {
  return new Fault(
    "RESOURCE_EXHAUSTED",
    "REQUEST_TOO_LARGE",
    `a request of this method may have at most ${limit} bytes`,
    { limit: String(limit) },
  );
}

export function tooMuchUnfinished(org: string, limit: number): Fault {
  return new Fault(
    "RESOURCE_EXHAUSTED",
    "TOO_MUCH_UNFINISHED",
    `organisation ${org} has requests of more than ${limit} bytes under way; let some be answered first`,
    { org, limit: String(limit) },
    { retryAfterMs: RETRY_MS },
  );
}

export function openCallOverdue(timeoutMs: number): Fault {
  return new Fault(
    "DEADLINE_EXCEEDED",
    "OPEN_CALL_TIMEOUT",
    `a call without a token ends after ${timeoutMs} ms; send a token for one that lasts longer`,
    { timeout_ms: String(timeoutMs) },
  );
}
