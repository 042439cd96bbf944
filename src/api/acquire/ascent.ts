import { randomUUID } from "node:crypto";
import { withSpan } from "../../lib/otel/tracing.ts";
import { abortable } from "../../lib/runtime/abort.ts";
import { logger } from "../../lib/runtime/log.ts";
import { TimeLimit } from "../../lib/runtime/wait.ts";
import type { Caller } from "../requests/caller.ts";
import type { AcquireStore } from "./acquire-store.ts";
import type { AcquireTools } from "./acquire-tools.ts";
import { climb } from "./climb.ts";
import { stepTimeout, taken } from "./faults.ts";
import { type AcquireRequest, type Attempt, type Found, failure, type Intent, type Step } from "./ladder.ts";
import { undo } from "./settle.ts";
import { tryStep } from "./try-step.ts";

export interface AscentParts {
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

/** One climb of a ladder, and what becomes of the steps that another one has beaten. */
export class Ascent {
  readonly attempts: Attempt[] = [];
  readonly #parts: AscentParts;
  readonly #id: string;
  readonly #climbId = randomUUID();
  readonly #intents: Intent[] = [];
  readonly #spent = new Map<number, number>();
  /** Steps under way, those that are given up included. */
  readonly #steps = new Set<Promise<unknown>>();
  /** What could not be undone. */
  #left = 0;
  #running = 0;
  #stored: Promise<boolean>;

  constructor(parts: AscentParts) {
    this.#parts = parts;
    this.#id = parts.id ?? randomUUID();
    this.#stored = Promise.resolve(parts.id !== undefined);
    if (parts.id !== undefined) parts.owned.add(parts.id);
  }

  /** Climbs until a step yields a machine; undefined when none does. @throws the reason of `signal` */
  climb(signal: AbortSignal): Promise<Found | undefined> {
    const { steps, hedgeAfterMs } = this.#parts.request;
    return climb({
      ...{ steps: steps.length, hedgeAfterMs, signal },
      begin: (index, stepSignal) => this.#begin(index, stepSignal),
      undo: (found) => void this.#giveBack(found),
    });
  }

  /** Notes who has won. The answer does not wait for the undoing of the others. @throws Fault `KEY_IN_USE` */
  async won({ machine, step }: Found): Promise<void> {
    const found = { machineId: machine.id, step };
    const { store } = this.#parts;
    if (await this.#stored) {
      const isSettled = this.#steps.size === 0 && this.#left === 0;
      if (!(await store.end(this.#id, isSettled ? "done" : "settling", found))) throw taken(this.#id);
    }
    void this.#settled(() => store.end(this.#id, "done", found));
  }

  /** Gives back everything, as no step has won or nobody waits any more. */
  lost(): void {
    void this.#settled(() => this.#parts.store.end(this.#id, "failed"));
  }

  async #begin(index: number, signal: AbortSignal): Promise<Found> {
    const step = this.#parts.request.steps[index];
    if (!step) throw new RangeError(`there is no step ${index}`);
    this.#running += 1;
    try {
      // Two machines may be started from now on: whoever takes over after a crash must know of both.
      if (this.#running > 1) await this.#store().catch(() => this.#alone(signal));
      return await withSpan(
        "api.acquire.step",
        { "windhover.acquire.step": index, "windhover.acquire.kind": step.kind },
        () => this.#bounded(step, index, signal),
      );
    } finally {
      this.#running -= 1;
    }
  }

  /** Tries a step for as long as it may take. What it yields afterwards is given back. */
  async #bounded(step: Step, index: number, signal: AbortSignal): Promise<Found> {
    const { tools, caller, request } = this.#parts;
    const ms = step.timeoutMs ?? request.timeoutMs;
    const startMs = performance.now();
    using limit = new TimeLimit(ms, signal, () => stepTimeout(ms));
    let isOpen = true;
    const trying = {
      ...{ tools, caller, id: this.#climbId, spent: this.#spent },
      record: (intent: Intent) => this.#record(intent),
      note: (attempt: Attempt) => {
        if (isOpen) this.attempts.push(attempt);
      },
    };
    const work = tryStep(trying, step, index, limit.signal);
    this.#follow(work);
    try {
      return await abortable(work, limit.signal);
    } catch (err) {
      if (limit.signal.aborted) {
        const intent = this.#intents.findLast((each) => each.step === index);
        const machineId = intent?.kind === "start" ? intent.machineId : "";
        const durationMs = performance.now() - startMs;
        const outcome = limit.isOver ? ("failed" as const) : ("superseded" as const);
        const why = limit.isOver ? failure(stepTimeout(ms)) : { reason: "", message: "" };
        trying.note({ step: index, machineId, outcome, durationMs, ...why });
        this.#follow(work.then((found) => this.#giveBack(found)));
      }
      throw err;
    } finally {
      isOpen = false;
    }
  }

  #follow(work: Promise<unknown>): void {
    const followed: Promise<unknown> = work.then(
      () => this.#steps.delete(followed),
      () => this.#steps.delete(followed),
    );
    this.#steps.add(followed);
  }

  async #giveBack({ intent, machine }: Found): Promise<void> {
    if (!intent) return;
    const { signal: _, remainingMs: _left, ...caller } = this.#parts.caller;
    const undoing = undo(this.#parts.tools, intent, machine.id, caller).catch((error: unknown) => {
      this.#left += 1;
      logger.warn("a machine of a slower step could not be given back yet", {
        machine_id: machine.id,
        error,
      });
    });
    this.#follow(undoing);
    await undoing;
  }

  /** Waits for all steps and what they have left, then stores the end. */
  async #settled(end: () => Promise<unknown>): Promise<void> {
    while (this.#steps.size > 0) await Promise.allSettled([...this.#steps]);
    // What could not be undone is undone by whoever takes the acquire over when its lease has ended.
    if (this.#left === 0 && (await this.#stored)) await end().catch(() => {});
    this.#parts.owned.delete(this.#id);
  }

  async #record(intent: Intent): Promise<void> {
    this.#intents.push(intent);
    if (!(await this.#stored)) return;
    if (!(await this.#parts.store.record(this.#id, intent))) throw taken(this.#id);
  }

  /** Stores the acquire if it is not. Without the database it stays as it was. */
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
  async #alone(signal: AbortSignal): Promise<void> {
    while (this.#steps.size > 0) await abortable(Promise.allSettled([...this.#steps]), signal);
  }
}
