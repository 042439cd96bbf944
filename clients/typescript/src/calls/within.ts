import { WindhoverError } from "./errors.ts";

/** What a timer can wait, in milliseconds. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Bounds of a wait. */
export interface Bounds {
  /** Milliseconds since the epoch; `Infinity`: none. */
  readonly deadline: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Waits for a promise within bounds. What comes later is ignored.
 *
 * @param what for the message: what was not there in time
 * @throws WindhoverError `DEADLINE_EXCEEDED`; the reason of the signal
 */
export function within<T>(promise: Promise<T>, what: string, { deadline, signal }: Bounds): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const late = () =>
      fail(new WindhoverError("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", `the time is over: ${what}`));
    const leave = () => fail(signal?.reason);
    const ms = Math.min(Math.max(0, deadline - Date.now()), LONGEST_TIMER_MS);
    const timer = deadline === Number.POSITIVE_INFINITY ? undefined : setTimeout(late, ms);
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", leave);
    };
    const fail = (err: unknown) => {
      end();
      reject(err);
    };
    signal?.addEventListener("abort", leave);
    if (signal?.aborted) leave();
    promise.then((value) => {
      end();
      resolve(value);
    }, fail);
  });
}
