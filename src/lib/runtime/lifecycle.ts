import { type Logger, logger } from "./log.ts";
import { sleep, within } from "./wait.ts";

/** How long one resource may take to close before it is given up. */
const CLOSE_TIMEOUT_MS = 10_000;

/** The resources a program has opened. They are closed in reverse, all of them, even when some fail to. */
export class Stack {
  readonly #open: { name: string; close: () => unknown; timeoutMs: number }[] = [];
  readonly #log: Logger;
  #closing: Promise<void> | undefined;

  constructor(log: Logger = logger) {
    this.#log = log;
  }

  /**
   * Takes ownership of a resource.
   *
   * @param name for the log
   * @param close must be safe to call once; may return a promise
   * @param timeoutMs how long closing may take before it is given up, default 10 s
   */
  add(name: string, close: () => unknown, timeoutMs: number = CLOSE_TIMEOUT_MS): void {
    this.#open.push({ name, close, timeoutMs });
  }

  /**
   * Closes everything, newest first. Calling it again waits for the same closing.
   *
   * @throws AggregateError when something did not close cleanly, after the rest has been closed
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const errors: Error[] = [];
    for (let one = this.#open.pop(); one; one = this.#open.pop()) {
      const { name, close, timeoutMs } = one;
      try {
        await within(timeoutMs, `closing ${name}`, async () => close());
      } catch (cause) {
        errors.push(new Error(`could not close ${name}`, { cause }));
        this.#log.error("could not close a resource", { resource: name, error: cause });
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, "the program did not close cleanly");
  }
}

/** What a loop started by {@link every} tells about itself. */
export interface LoopOptions {
  /** Named in the log. Default: the function's name. */
  readonly name?: string;
  readonly log?: Logger;
  /** Called with each error besides it being logged: to count it. */
  readonly onError?: (err: unknown) => void;
}

/**
 * Runs `fn` again and again until `signal` aborts: at once, then `intervalMs` (up to `jitterMs` more) after each
 * end, so runs never overlap. An error is logged and counted and ends only that run. Resolves when the last run has ended.
 */
export async function every(
  intervalMs: number,
  jitterMs: number,
  fn: (signal: AbortSignal) => unknown,
  signal: AbortSignal,
  options: LoopOptions = {},
): Promise<void> {
  const log = options.log ?? logger;
  while (!signal.aborted) {
    try {
      await fn(signal);
    } catch (error) {
      if (signal.aborted) return;
      log.warn("a periodic task failed", { task: options.name ?? fn.name, error });
      options.onError?.(error);
    }
    await sleep(intervalMs + Math.random() * jitterMs, signal);
  }
}

/** Starts {@link every} in the background; the answer stops it and waits for its last run. */
export function startLoop(
  intervalMs: number,
  jitterMs: number,
  fn: (signal: AbortSignal) => unknown,
  options: LoopOptions = {},
): () => Promise<void> {
  const abort = new AbortController();
  const done = every(intervalMs, jitterMs, fn, abort.signal, options);
  return () => {
    abort.abort();
    return done;
  };
}

/** Resolves with the first SIGTERM or SIGINT. A second one then ends the process at once, as it would by default. */
export function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const heard = (signal: NodeJS.Signals) => {
      process.off("SIGTERM", heard);
      process.off("SIGINT", heard);
      resolve(signal);
    };
    process.on("SIGTERM", heard);
    process.on("SIGINT", heard);
  });
}
