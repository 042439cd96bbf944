import { counter } from "../otel/metrics.ts";
import { withSpan } from "../otel/tracing.ts";
import { logger } from "../runtime/log.ts";
import { within } from "../runtime/wait.ts";

/** One step of a saga. `run` and `undo` must both be safe to repeat: a crash replays them. */
export interface Step<C> {
  /** Stable and unique within the saga: it is stored. */
  readonly name: string;
  /** Does the step. May have acted even when it throws. */
  run(ctx: C, signal: AbortSignal): Promise<void>;
  /** Takes back whatever `run` may have done, all, part or nothing of it. */
  undo?(ctx: C, signal: AbortSignal): Promise<void>;
}

/** Work with side effects, as a list of steps that can each be taken back. */
export interface Saga<C> {
  /** Low in cardinality: it names spans and metrics. */
  readonly name: string;
  readonly steps: readonly Step<C>[];
}

/**
 * What can happen to a step. `failed` is the turning point: from then on the saga only goes back. `stuck` means that
 * undo failed: it stays to be undone.
 */
export type Outcome = "done" | "failed" | "undone" | "stuck";

/** Where a saga's progress is stored, so that another process can go on with it. */
export interface SagaLog {
  /**
   * Returns once it is durable. A log may keep a `done` back for a while, since a step may be repeated; but then nothing later counts without it,
   * and a `failed` never waits: what is taken back must not be done again.
   */
  record(step: string, outcome: Outcome, error?: unknown): Promise<void>;
}

/** One stored entry, in the order they were recorded. */
export interface SagaEntry {
  readonly step: string;
  readonly outcome: Outcome;
}

/** How a saga is run. */
export interface SagaOptions {
  /** What was recorded before a crash. Default nothing. */
  readonly resume?: readonly SagaEntry[];
  /** Traceparent of the span under which the saga began, when it is resumed: becomes a link. */
  readonly startedBy?: string;
  /** How long one undo may take, in milliseconds. Default 30,000. */
  readonly undoTimeoutMs?: number;
}

/** How a saga that did not throw has ended. `undone` only when resumed past its turning point. */
export type SagaResult = "done" | "undone";

/**
 * Runs the steps in order. When one fails or `signal` aborts, undoes it and every step before it, newest first, then
 * rethrows. The failed step is undone too: it may have acted before it threw.
 *
 * An undo that fails is recorded as `stuck`, logged and counted, and the other steps are still undone; run the saga again
 * with its entries to retry. When the *log* fails, the run ends where it is, as in a crash, and is to be resumed: undoing
 * what the log calls done would leave a record that lies.
 *
 * Resumed, it skips what is done and repeats the step that was under way; past its turning point it only goes back.
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

/** A saga's steps that are still stuck, from its entries. */
export function stuckSteps(entries: readonly SagaEntry[]): string[] {
  const last = new Map(entries.map((entry) => [entry.step, entry.outcome]));
  return [...last].filter(([, outcome]) => outcome === "stuck").map(([step]) => step);
}

/** Undos that failed: somebody must look, the reconciler keeps trying. */
export const sagasStuck = counter(
  "windhover_saga_steps_stuck_total",
  "Attempts to undo a step of a saga that failed.",
  ["saga", "step"],
);
/** Steps that a crash or a failed undo has made another run repeat. */
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
      await this.#undoFrom(this.#turningPoint());
      return "undone";
    }
    const done = new Set(this.#before.map((entry) => entry.step));
    for (const [index, step] of this.#saga.steps.entries()) {
      if (done.has(step.name)) continue;
      // The first one may have been under way already; how far, nobody knows.
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

  /** Where it turned back before the crash: every step after this one has never begun. */
  #turningPoint(): number {
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

  /** While going back a failing log stops nothing: undoing is repeated on resume, and that is harmless. */
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
