import { counter } from "../otel/metrics.ts";
import { withSpan } from "../otel/tracing.ts";
import { logger } from "../runtime/log.ts";
import { within } from "../runtime/wait.ts";

/** A step of a saga. `run` and `undo` must be safe to repeat: they are repeated after a crash. */
export interface Step<C> {
  /** Stable and unique within the saga: it is stored. */
  readonly name: string;
  run(ctx: C, signal: AbortSignal): Promise<void>;
  /** Takes back what `run` has done: all, part or nothing of it. */
  undo?(ctx: C, signal: AbortSignal): Promise<void>;
}

export interface Saga<C> {
  readonly name: string;
  readonly steps: readonly Step<C>[];
}

/**
 * What happened to a step. From `failed` on, the saga only goes back. `stuck`: undo failed and has to be repeated.
 */
export type Outcome = "done" | "failed" | "undone" | "stuck";

/** Stores the progress of a saga, so that another process can resume it. */
export interface SagaLog {
  /**
   * Resolves when the entry is durable. A log may delay a `done`, since a step may be repeated, but not beyond the next
   * entry. It must not delay a `failed`: what is taken back must not be done again.
   */
  record(step: string, outcome: Outcome, error?: unknown): Promise<void>;
}

export interface SagaEntry {
  readonly step: string;
  readonly outcome: Outcome;
}

export interface SagaOptions {
  /** What was recorded before a crash, in its order. Default: nothing. */
  readonly resume?: readonly SagaEntry[];
  /** Traceparent of the span in which a resumed saga began: becomes a link. */
  readonly startedBy?: string;
  /** Longest undo of one step. Default: 30,000. */
  readonly undoTimeoutMs?: number;
}

/** How a saga ended that did not throw: `undone` only when it was resumed after a failure. */
export type SagaResult = "done" | "undone";

/**
 * Runs the steps in order. When one fails or `signal` aborts, undoes it and every step before it, newest first, then
 * rethrows. The failed step is undone too: it may have acted before it threw.
 *
 * An undo that fails is recorded as `stuck`, logged and counted, and the other steps are undone all the same; run the saga
 * again with its entries to retry. When the log fails, the run ends at once, as in a crash, and has to be resumed: the log
 * would call steps done that were undone.
 *
 * A resumed run skips what is done and repeats the step that ran; after a failure it only goes back.
 */
export function runSaga<C>(
  saga: Saga<C>,
  ctx: C,
  log: SagaLog,
  signal: AbortSignal,
  options: SagaOptions = {},
): Promise<SagaResult> {
  const links = options.startedBy === undefined ? {} : { links: [options.startedBy] };
  const run = new Run(saga, ctx, log, options);
  return withSpan(`saga.${saga.name}`, {}, () => run.go(signal), links);
}

/** Returns the steps that are still stuck, from a saga's entries. */
export function stuckSteps(entries: readonly SagaEntry[]): string[] {
  const last = new Map(entries.map((entry) => [entry.step, entry.outcome]));
  return [...last].filter(([, outcome]) => outcome === "stuck").map(([step]) => step);
}

export const sagasStuck = counter(
  "windhover_saga_steps_stuck_total",
  "Attempts to undo a step of a saga that failed.",
  ["saga", "step"],
);
export const sagaStepsRetried = counter(
  "windhover_saga_steps_retried_total",
  "Steps of sagas that were done or undone once more, after a crash or a failed undo.",
  ["saga", "step"],
);

const UNDO_TIMEOUT_MS = 30_000;

class Run<C> {
  readonly #saga: Saga<C>;
  readonly #ctx: C;
  readonly #log: SagaLog;
  readonly #undoTimeoutMs: number;
  readonly #before: readonly SagaEntry[];
  readonly #isResumed: boolean;

  constructor(saga: Saga<C>, ctx: C, log: SagaLog, options: SagaOptions) {
    this.#saga = saga;
    this.#ctx = ctx;
    this.#log = log;
    this.#undoTimeoutMs = options.undoTimeoutMs ?? UNDO_TIMEOUT_MS;
    this.#before = options.resume ?? [];
    this.#isResumed = options.resume !== undefined;
  }

  async go(signal: AbortSignal): Promise<SagaResult> {
    if (this.#before.some((entry) => entry.outcome !== "done")) {
      await this.#undoFrom(this.#lastTouched());
      return "undone";
    }
    const done = new Set(this.#before.map((entry) => entry.step));
    for (const [index, step] of this.#saga.steps.entries()) {
      if (done.has(step.name)) continue;
      // The first one may have run before the crash.
      if (this.#isResumed && index === done.size) this.#countRetry(step);
      try {
        signal.throwIfAborted();
        await withSpan(this.#spanName(step), {}, () => step.run(this.#ctx, signal));
      } catch (err) {
        await this.#log.record(step.name, "failed", err);
        await this.#undoFrom(index);
        throw err;
      }
      await this.#log.record(step.name, "done");
    }
    return "done";
  }

  /** The last step that has begun. */
  #lastTouched(): number {
    const touched = new Set(this.#before.map((entry) => entry.step));
    return this.#saga.steps.findLastIndex((step) => touched.has(step.name));
  }

  async #undoFrom(index: number): Promise<void> {
    const undone = new Set(this.#before.filter((e) => e.outcome === "undone").map((e) => e.step));
    for (const step of this.#saga.steps.slice(0, index + 1).reverse()) {
      if (!undone.has(step.name)) await this.#undo(step);
    }
  }

  async #undo(step: Step<C>): Promise<void> {
    const { undo } = step;
    if (this.#before.some((entry) => entry.step === step.name && entry.outcome === "stuck")) {
      this.#countRetry(step);
    }
    try {
      if (undo) {
        await withSpan(`${this.#spanName(step)}.undo`, {}, () =>
          within(this.#undoTimeoutMs, `undoing ${step.name}`, (signal) => undo.call(step, this.#ctx, signal)),
        );
      }
    } catch (error) {
      sagasStuck.inc({ saga: this.#saga.name, step: step.name });
      logger.error("a saga is stuck", { saga: this.#saga.name, step: step.name, error });
      await this.#note(step, "stuck", error);
      return;
    }
    await this.#note(step, "undone");
  }

  #countRetry(step: Step<C>): void {
    sagaStepsRetried.inc({ saga: this.#saga.name, step: step.name });
  }

  /** A log that fails does not stop the undoing: it is repeated on resume, which is harmless. */
  async #note(step: Step<C>, outcome: Outcome, cause?: unknown): Promise<void> {
    try {
      await this.#log.record(step.name, outcome, cause);
    } catch (error) {
      logger.error("a saga's progress could not be stored", {
        saga: this.#saga.name,
        step: step.name,
        outcome,
        error,
      });
    }
  }

  #spanName(step: Step<C>): string {
    return `saga.${this.#saga.name}.${step.name}`;
  }
}
