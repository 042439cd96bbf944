import { onAbort } from "../../lib/runtime/abort.ts";

/** A step that has begun. */
interface RunningStep<T> {
  readonly index: number;
  readonly cancel: AbortController;
  readonly done: Promise<T>;
}

export interface RunStepsOptions<T> {
  readonly steps: number;
  /** Begins a step. Its signal aborts when another one was faster, or the caller has gone. */
  begin(index: number, signal: AbortSignal): Promise<T>;
  /** Begins the next step beside one that has not ended after so long. Undefined: never. */
  readonly hedgeAfterMs: number | undefined;
  readonly signal: AbortSignal;
  /** Undoes what a step yielded after another one had succeeded. */
  undo(value: T): void;
}

/** Reason of the signal of a step after another one has succeeded. */
export const SUPERSEDED = new Error("another step was faster");

/**
 * Tries steps in order until one succeeds. Begins the next step when the last one has failed or is slow.
 *
 * @returns what the first success yields; undefined when every step has failed
 * @throws the reason of `signal`
 */
export function runSteps<T>({
  steps,
  begin,
  hedgeAfterMs,
  signal,
  undo,
}: RunStepsOptions<T>): Promise<T | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
  const begun: RunningStep<T>[] = [];
  let running = 0;
  let isOver = false;
  let timer: NodeJS.Timeout | undefined;
  let listener: Disposable | undefined;

  const end = (finish: () => void, reason: unknown): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    listener?.[Symbol.dispose]();
    for (const { cancel } of begun) cancel.abort(reason);
    finish();
  };
  const next = (): void => {
    clearTimeout(timer);
    const index = begun.length;
    if (isOver) return;
    if (index === steps) {
      if (running === 0) end(() => resolve(undefined), SUPERSEDED);
      return;
    }
    const cancel = new AbortController();
    running += 1;
    if (hedgeAfterMs !== undefined && index + 1 < steps) timer = setTimeout(next, hedgeAfterMs);
    const done = begin(index, cancel.signal);
    begun.push({ index, cancel, done });
    done.then(
      (value) => {
        running -= 1;
        if (isOver) undo(value);
        else end(() => resolve(value), SUPERSEDED);
      },
      () => {
        running -= 1;
        // After an earlier step the next one runs already.
        if (index === begun.length - 1 || running === 0) next();
      },
    );
  };
  listener = onAbort(signal, () => end(() => reject(signal.reason), signal.reason));
  if (!signal.aborted) next();
  return promise;
}
