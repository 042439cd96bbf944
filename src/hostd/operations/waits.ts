import { abortable } from "../../lib/runtime/abort.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { TimeLimit } from "../../lib/runtime/wait.ts";
import { type Awaited, decideWait, waitTimeout, wantedOf } from "../machines/decisions/wait.ts";
import type { Machine } from "../machines/machine.ts";
import type { Proxies } from "../proxies/proxies.ts";
import type { Store } from "../store/store.ts";

export interface WaitParts {
  readonly store: Pick<Store, "subscribe">;
  readonly proxies: Pick<Proxies, "isReady" | "subscribe">;
  readonly clock: Pick<Clock, "now">;
}

/**
 * Waits until a machine is as awaited.
 *
 * @param read returns the machine as it is now
 * @throws Fault of `read`, STATE_UNREACHABLE, REPLACED, WAIT_TIMEOUT; the reason of `signal`
 */
export async function untilAwaited(
  { store, clock, proxies }: WaitParts,
  read: () => Machine,
  awaited: Awaited,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Machine> {
  let last = read();
  const { id } = last;
  const { promise, resolve, reject } = Promise.withResolvers<Machine>();
  const check = (machine: Machine): void => {
    last = machine;
    const now = { ...machine, isReady: proxies.isReady(machine) };
    const decision = decideWait(now, awaited, clock.now());
    if (decision.kind === "done") resolve(machine);
    if (decision.kind === "fail") reject(decision.fault);
  };
  using limit = new TimeLimit(timeoutMs, signal, () => waitTimeout(last, wantedOf(awaited), timeoutMs));
  const unsubscribe = store.subscribe(id, check);
  const unsubscribeReady = proxies.subscribe(id, () => check(read()));
  try {
    check(last);
    return await abortable(promise, limit.signal);
  } finally {
    unsubscribe();
    unsubscribeReady();
  }
}
