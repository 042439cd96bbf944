import { randomUUID } from "node:crypto";
import { asFault } from "../../lib/grpc/status.ts";
import { withSpan } from "../../lib/otel/tracing.ts";
import { abortable, onAbort } from "../../lib/runtime/abort.ts";
import { type Backoff, backoffMs } from "../../lib/runtime/backoff.ts";
import { logger } from "../../lib/runtime/log.ts";
import { sleep, TimeLimit } from "../../lib/runtime/wait.ts";
import type { Caller } from "../requests/caller.ts";
import { type AcquireRequest, type Attempt, type Found, failure, type Intent, type Step } from "./acquire.ts";
import type { AcquireStore } from "./acquire-store.ts";
import type { AcquireTools } from "./acquire-tools.ts";
import { stepTimeout, taken } from "./faults.ts";
import { runSteps, SUPERSEDED } from "./run-steps.ts";
import { undo, undoUnanswered } from "./settle.ts";
import { tryStep } from "./try-step.ts";

export interface AcquireRunParts {
  readonly tools: AcquireTools;
  readonly store: Pick<AcquireStore, "begin" | "record" | "end">;
  readonly request: AcquireRequest;
  readonly hash: Buffer;
  readonly caller: Caller;
  /** Of the stored acquire. Undefined: it is stored when a second step begins beside a first. */
  readonly id: string | undefined;
  readonly traceId: string;
  /** Ids of stored acquires whose leases are renewed. */
  readonly owned: Set<string>;
}

/** Of an acquire that is not stored: a minute, longer than a host takes to restart. */
const UNDO_ATTEMPTS = 8;
const UNDO_BACKOFF: Backoff = { firstMs: 500, maxMs: 16_000 };

/** An attempt of the answer, and when it began. */
interface Noted {
  attempt: Attempt;
  readonly sinceMs: number;
}

/**
 * One run of an acquire: tries its steps, and undoes what a slower step did after another one has
 * succeeded.
 */
export class AcquireRun {
  readonly #noted: Noted[] = [];
  readonly #parts: AcquireRunParts;
  readonly #id: string;
  readonly #runId = randomUUID();
  readonly #intents: Intent[] = [];
  readonly #fullHosts = new Map<number, number>();
  /** Steps under way, abandoned ones included. */
  readonly #steps = new Set<Promise<unknown>>();
  /** Steps that nobody has chosen or undone yet: one may have ended, in the moment in which another is chosen. */
  readonly #undecided = new Set<Promise<unknown>>();
  /** Undos of steps without an answer, beside which others may run. */
  readonly #undos = new Set<Promise<unknown>>();
  /** Machines that the api that takes over must undo: an undo, or storing the end, has failed. */
  #notUndone = 0;
  #stored: Promise<boolean>;

  constructor(parts: AcquireRunParts) {
    this.#parts = parts;
    this.#id = parts.id ?? randomUUID();
    this.#stored = Promise.resolve(parts.id !== undefined);
    if (parts.id !== undefined) parts.owned.add(parts.id);
  }

  /** Attempts in the order in which they began. */
  get attempts(): readonly Attempt[] {
    return this.#noted.toSorted((a, b) => a.sinceMs - b.sinceMs).map(({ attempt }) => attempt);
  }

  /** Steps and undos that have not ended. */
  get #underWay(): readonly Promise<unknown>[] {
    return [...this.#steps, ...this.#undecided, ...this.#undos];
  }

  /**
   * Tries steps until one yields a machine. Returns undefined when none does.
   *
   * @throws the reason of `signal`
   */
  run(signal: AbortSignal): Promise<Found | undefined> {
    const { steps, hedgeAfterMs } = this.#parts.request;
    return runSteps({
      ...{ steps: steps.length, hedgeAfterMs, signal },
      begin: (index, stepSignal) => {
        const step = this.#begin(index, stepSignal);
        this.#follow(step, this.#undecided);
        return step;
      },
      undo: (found) => void this.#undo(found),
    });
  }

  /**
   * Stores the machine that was found. Does not wait until the other steps are undone.
   *
   * @throws Fault `KEY_IN_USE`
   */
  async succeed({ machine, step }: Found): Promise<void> {
    const found = { machineId: machine.id, step };
    const { store } = this.#parts;
    if (await this.#stored) {
      const isSettled = this.#underWay.length + this.#notUndone === 0;
      try {
        if (!(await store.end(this.#id, isSettled ? "done" : "settling", found))) throw taken(this.#id);
      } catch (err) {
        // The machine runs, and is not stored: the api that takes over keeps or undoes it.
        this.#notUndone += 1;
        throw err;
      }
    }
    void this.#settled(() => store.end(this.#id, "done", found));
  }

  /** Undoes every step: none has succeeded, or the caller has gone. */
  fail(): void {
    void this.#settled(() => this.#parts.store.end(this.#id, "failed"));
  }

  async #begin(index: number, signal: AbortSignal): Promise<Found> {
    const step = this.#parts.request.steps[index];
    if (!step) throw new RangeError(`there is no step ${index}`);
    // From here on two machines may be started, also by a step after its timeout. An api that takes over
    // after a crash must know both.
    if (this.#steps.size > 0) await this.#store().catch(() => this.#untilAlone(signal));
    return await withSpan(
      "api.acquire.step",
      { "windhover.acquire.step": index, "windhover.acquire.kind": step.kind },
      () => this.#bounded(step, index, signal),
    );
  }

  /** Tries a step until its timeout. Undoes what the step yields afterwards. */
  async #bounded(step: Step, index: number, signal: AbortSignal): Promise<Found> {
    const { tools, caller, request, traceId } = this.#parts;
    const ms = step.timeoutMs ?? request.timeoutMs;
    using limit = new TimeLimit(ms, signal, () => stepTimeout(ms));
    let isOpen = true;
    let sinceMs = performance.now();
    let last: Noted | undefined;
    /** The machine that is being started. */
    let machineId = "";
    const context = {
      ...{ tools, caller, traceId, id: this.#runId, fullHosts: this.#fullHosts },
      record: (intent: Intent) => {
        if (intent.kind === "start") machineId = intent.machineId;
        return this.#record(intent);
      },
      undo: (found: Found) => this.#undo(found),
      undoUnanswered: (intent: Intent) => this.#follow(this.#undoUnanswered(intent), this.#undos),
      note: (attempt: Attempt) => {
        if (!isOpen) return;
        last = this.#note(attempt);
        sinceMs = performance.now();
        machineId = "";
      },
    };
    using _ = onAbort(limit.signal, () => {
      const why = endOf(limit.signal.reason);
      // The step has succeeded in the same moment, after another one.
      if (last?.attempt.outcome === "started") last.attempt = { ...last.attempt, ...why };
      else this.#note({ step: index, machineId, durationMs: performance.now() - sinceMs, ...why });
      isOpen = false;
    });
    const work = tryStep(context, step, index, limit.signal);
    this.#follow(work);
    try {
      return await abortable(work, limit.signal);
    } catch (err) {
      if (limit.signal.aborted) this.#follow(work.then((found) => this.#undo(found)));
      throw err;
    } finally {
      isOpen = false;
    }
  }

  #note(attempt: Attempt): Noted {
    const noted = { attempt, sinceMs: performance.now() - attempt.durationMs };
    this.#noted.push(noted);
    return noted;
  }

  #follow(work: Promise<unknown>, among = this.#steps): void {
    const followed: Promise<unknown> = work.then(
      () => among.delete(followed),
      () => among.delete(followed),
    );
    among.add(followed);
  }

  async #undo({ intent, machine }: Found): Promise<void> {
    if (!intent) return;
    const { signal: _, remainingMs: _left, ...caller } = this.#parts.caller;
    const undoing = undo(this.#parts.tools, intent, machine, caller).catch((error: unknown) => {
      this.#notUndone += 1;
      logger.warn("the machine of a slower step could not be undone yet", {
        machine_id: machine.id,
        error,
      });
    });
    this.#follow(undoing);
    await undoing;
  }

  /**
   * Undoes what may have come of a call without an answer, for as long as its host or its create may take. Stored, the
   * rest is for the api that takes over.
   */
  async #undoUnanswered(intent: Intent): Promise<void> {
    const { tools, traceId, request, caller: whole } = this.#parts;
    const { signal: _, remainingMs: _left, ...caller } = whole;
    for (let attempt = 0; attempt < UNDO_ATTEMPTS; attempt++) {
      const by = { traceId, org: request.org };
      if (await undoUnanswered(tools, intent, by, caller).catch(() => false)) return;
      if (await this.#stored) break;
      await sleep(backoffMs(UNDO_BACKOFF, attempt), undefined, { ref: false });
    }
    this.#notUndone += 1;
    logger.warn("what an unanswered step may have done could not be undone yet", { intent: intent.kind });
  }

  /** Waits for all steps and undos, then stores the end unless an undo has failed. */
  async #settled(end: () => Promise<unknown>): Promise<void> {
    while (this.#underWay.length > 0) await Promise.allSettled(this.#underWay);
    // The api that takes over when the lease has ended repeats undos that have failed.
    if (this.#notUndone === 0 && (await this.#stored)) await end().catch(() => {});
    this.#parts.owned.delete(this.#id);
  }

  async #record(intent: Intent): Promise<void> {
    this.#intents.push(intent);
    if (!(await this.#stored)) return;
    if (!(await this.#parts.store.record(this.#id, intent))) throw taken(this.#id);
  }

  /** Stores the acquire unless it is stored. @throws Fault `DATABASE_UNAVAILABLE`; it is not stored then */
  async #store(): Promise<void> {
    if (await this.#stored) return;
    const { request, hash, traceId, store, owned } = this.#parts;
    const { org } = request;
    const acquire = { id: this.#id, org, key: undefined, requestHash: hash, traceId, intents: this.#intents };
    const storing = store.begin(acquire);
    this.#stored = storing.then(
      () => true,
      () => false,
    );
    await storing;
    owned.add(this.#id);
  }

  /** Waits until no other step is under way: without the database, nobody could undo one of two. */
  async #untilAlone(signal: AbortSignal): Promise<void> {
    while (this.#steps.size > 0) await abortable(Promise.allSettled([...this.#steps]), signal);
  }
}

/** Returns the end of the attempt of a step whose signal has aborted. */
function endOf(reason: unknown): Pick<Attempt, "outcome" | "reason" | "message"> {
  if (reason === SUPERSEDED) return { outcome: "superseded", reason: "", message: "" };
  return { outcome: "failed", ...failure(asFault(reason)) };
}
