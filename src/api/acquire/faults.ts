import { Fault } from "../../lib/faults/fault.ts";
import type { Attempt } from "./acquire.ts";

/** Characters of the attempts: an error cuts a longer fact, and the rest would be no JSON. */
const MAX_ATTEMPTS = 2_048;

export function noStepWorked(attempts: readonly Attempt[]): Fault {
  const tried = attempts.map(
    ({ step, machineId, reason }) => `step ${step}${machineId && ` (${machineId})`}: ${reason}`,
  );
  const message = `no step has yielded a machine: ${tried.join("; ").slice(0, 1_000)}`;
  return new Fault("RESOURCE_EXHAUSTED", "NO_STEP_WORKED", message, factsOf(attempts));
}

export function acquireTimeout(attempts: readonly Attempt[]): Fault {
  const message = "the time for all steps is over, and none has yielded a machine";
  return new Fault("DEADLINE_EXCEEDED", "ACQUIRE_TIMEOUT", message, factsOf(attempts));
}

export function stepTimeout(ms: number): Fault {
  const message = `the step has not ended within ${ms} ms`;
  return new Fault("DEADLINE_EXCEEDED", "STEP_TIMEOUT", message, { timeout_ms: String(ms) });
}

export function keyReused(key: string): Fault {
  const message = `key ${key} stands for a request with other steps; use another key`;
  return new Fault("INVALID_ARGUMENT", "KEY_REUSED", message, { key });
}

export function keyInUse(key: string): Fault {
  const message = `another call with the key ${key} is under way at an api that does not answer; try again`;
  return new Fault("ABORTED", "KEY_IN_USE", message, { key }, { retryAfterMs: 2_000 });
}

export function tooMany(org: string, limit: number): Fault {
  const message = `organisation ${org} has ${limit} acquires with a key under way at this api, as many as it may; try again when some have ended`;
  const facts = { org, limit: String(limit), in_progress: String(limit) };
  return new Fault("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS", message, facts, { retryAfterMs: 1_000 });
}

/** Makes the fault of an acquire that another api has taken over: this one did not renew its lease. */
export function taken(id: string): Fault {
  const message = "another api has taken over this call; repeat it with the same key";
  return new Fault("ABORTED", "KEY_IN_USE", message, { acquire_id: id }, { retryAfterMs: 1_000 });
}

/** Makes facts: the attempts as JSON, as many as have room, and the reason of each step. */
function factsOf(attempts: readonly Attempt[]): Record<string, string> {
  const shown = attempts.map(({ step, machineId, outcome, reason, durationMs }) => ({
    ...{ step, machine_id: machineId, outcome, reason },
    duration_ms: Math.round(durationMs),
  }));
  while (JSON.stringify(shown).length > MAX_ATTEMPTS) shown.pop();
  const leftOut = attempts.length - shown.length;
  return {
    ...Object.fromEntries(attempts.map(({ step, reason }) => [`reason_${step}`, reason])),
    attempts: JSON.stringify(shown),
    ...(leftOut > 0 ? { attempts_left_out: String(leftOut) } : {}),
  };
}
