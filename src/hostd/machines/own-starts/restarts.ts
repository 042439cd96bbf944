import type { Machine, Restarts } from "../machine.ts";

/** The next step of a machine whose process has ended, or whose restart has failed. */
export type RestartDecision =
  | { readonly kind: "none" }
  | { readonly kind: "restart"; readonly atMs: number }
  | { readonly kind: "exhausted"; readonly retries: number };

const WINDOW_MS = 5 * 60_000;
const DEFAULT_RETRIES = 10;
/** Pause before the first restart of a window; the next ones double from `FIRST_PAUSE_MS`. */
const AT_ONCE_MS = 100;
const FIRST_PAUSE_MS = 1_000;
export const MAX_PAUSE_MS = 30_000;

/** Decides by the restart policy. @param isFailure not an exit with code 0 */
export function decideRestart(machine: Machine, isFailure: boolean, nowMs: number): RestartDecision {
  const { policy = "" } = machine.spec.config.restart ?? {};
  if (policy !== "always" && !(policy === "on-failure" && isFailure)) return { kind: "none" };
  return decideRetry(machine, nowMs);
}

/** Decides about a restart that was refused, whatever the policy says: a call may have asked for it. */
export function decideRetry(
  machine: Machine,
  nowMs: number,
): Exclude<RestartDecision, { readonly kind: "none" }> {
  const { maxRetries = 0 } = machine.spec.config.restart ?? {};
  const done = recent(machine.restarts, nowMs).length;
  const retries = maxRetries > 0 ? maxRetries : DEFAULT_RETRIES;
  return done >= retries ? { kind: "exhausted", retries } : { kind: "restart", atMs: nowMs + pauseMs(done) };
}

/** Counts a restart by the policy. */
export function countRestart(restarts: Restarts | undefined, nowMs: number): Restarts {
  return { count: (restarts?.count ?? 0) + 1, timesMs: [...recent(restarts, nowMs), nowMs] };
}

export function describeExhausted(retries: number): string {
  return `not restarted: its policy has restarted it ${retries} times within ${WINDOW_MS / 60_000} min`;
}

function pauseMs(done: number): number {
  return done === 0 ? AT_ONCE_MS : Math.min(FIRST_PAUSE_MS * 2 ** (done - 1), MAX_PAUSE_MS);
}

function recent(restarts: Restarts | undefined, nowMs: number): readonly number[] {
  return (restarts?.timesMs ?? []).filter((time) => time > nowMs - WINDOW_MS);
}
