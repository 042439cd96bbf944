import { type Logger, logger } from "./log.ts";
import { sleep, within } from "./wait.ts";

const CLOSE_TIMEOUT_MS = 10_000;

/** Resources that a program has opened. They are closed in reverse order, all of them, even when some fail to close. */
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
   * @param timeoutMs how long closing may take, default 10 s
   */
  add(name: string, close: () => unknown, timeoutMs: number = CLOSE_TIMEOUT_MS): void {
    this.#open.push({ name, close, timeoutMs });
  }

  /**
   * Closes everything, newest first. A second call waits for the first.
   *
   * @throws AggregateError after everything has been tried, when something did not close
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

/** Options of {@link every}. */
export interface LoopOptions {
  /** For the log. Default: the function's name. */
  readonly name?: string;
  readonly log?: Logger;
  /** Called with each error, to count it. */
  readonly onError?: (err: unknown) => void;
}

/**
 * Runs `fn` until `signal` aborts: at once, then `intervalMs` and up to `jitterMs` more after each end, so runs never
 * overlap. An error is logged and ends only its run. Resolves when the last run has ended.
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

/** Starts {@link every} in the background. Returns a function that stops it and waits for its last run. */
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

/** Resolves with the first SIGTERM or SIGINT. A second one ends the process at once. */
export function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const onSignal = (signal: NodeJS.Signals) => {
      process.off("SIGTERM", onSignal);
      process.off("SIGINT", onSignal);
      resolve(signal);
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
  });
}
