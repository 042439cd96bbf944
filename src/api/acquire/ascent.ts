import { randomUUID } from "node:crypto";
import { asFault } from "../../lib/grpc/status.ts";
import { withSpan } from "../../lib/otel/tracing.ts";
import { abortable, onAbort } from "../../lib/runtime/abort.ts";
import { logger } from "../../lib/runtime/log.ts";
import { TimeLimit } from "../../lib/runtime/wait.ts";
import type { Caller } from "../requests/caller.ts";
import type { AcquireStore } from "./acquire-store.ts";
import type { AcquireTools } from "./acquire-tools.ts";
import { climb, SUPERSEDED } from "./climb.ts";
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

/** An attempt of the answer, and when it began. */
interface Noted {
  attempt: Attempt;
  readonly sinceMs: number;
}

/** One climb of a ladder, and what becomes of the steps that another one has beaten. */
export class Ascent {
  readonly #noted: Noted[] = [];
  readonly #parts: AscentParts;
  readonly #id: string;
  readonly #climbId = randomUUID();
  readonly #intents: Intent[] = [];
  readonly #spent = new Map<number, number>();
  /** Steps under way, those that are given up included. */
  readonly #steps = new Set<Promise<unknown>>();
  /** What could not be undone. */
  #left = 0;
  #stored: Promise<boolean>;

  constructor(parts: AscentParts) {
    this.#parts = parts;
    this.#id = parts.id ?? randomUUID();
    this.#stored = Promise.resolve(parts.id !== undefined);
    if (parts.id !== undefined) parts.owned.add(parts.id);
  }

  /** What was tried, in the order in which it was begun. */
  get attempts(): readonly Attempt[] {
    return this.#noted.toSorted((a, b) => a.sinceMs - b.sinceMs).map(({ attempt }) => attempt);
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
      try {
        if (!(await store.end(this.#id, isSettled ? "done" : "settling", found))) throw taken(this.#id);
      } catch (err) {
        // Its machine runs, and is not stored: whoever takes the acquire over keeps or undoes it.
        this.#left += 1;
        throw err;
      }
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
    // Two machines may be started from now on: whoever takes over after a crash must know of both. A step whose time is over may still
    // start one.
    if (this.#steps.size > 0) await this.#store().catch(() => this.#alone(signal));
    return await withSpan(
      "api.acquire.step",
      { "windhover.acquire.step": index, "windhover.acquire.kind": step.kind },
      () => this.#bounded(step, index, signal),
    );
  }

  /** Tries a step for as long as it may take. What it yields afterwards is given back. */
  async #bounded(step: Step, index: number, signal: AbortSignal): Promise<Found> {
    const { tools, caller, request, traceId } = this.#parts;
    const ms = step.timeoutMs ?? request.timeoutMs;
    using limit = new TimeLimit(ms, signal, () => stepTimeout(ms));
    let isOpen = true;
    let sinceMs = performance.now();
    let last: Noted | undefined;
    /** The machine that is being started. */
    let machineId = "";
    const trying = {
      ...{ tools, caller, traceId, id: this.#climbId, spent: this.#spent },
      record: (intent: Intent) => {
        if (intent.kind === "start") machineId = intent.machineId;
        return this.#record(intent);
      },
      giveBack: (found: Found) => this.#giveBack(found),
      note: (attempt: Attempt) => {
        if (!isOpen) return;
        last = this.#note(attempt);
        sinceMs = performance.now();
        machineId = "";
      },
    };
    using _ = onAbort(limit.signal, () => {
      const why = whyOver(limit.signal.reason);
      // It has just succeeded, and another one before it.
      if (last?.attempt.outcome === "started") last.attempt = { ...last.attempt, ...why };
      else this.#note({ step: index, machineId, durationMs: performance.now() - sinceMs, ...why });
      isOpen = false;
    });
    const work = tryStep(trying, step, index, limit.signal);
    this.#follow(work);
    try {
      return await abortable(work, limit.signal);
    } catch (err) {
      if (limit.signal.aborted) this.#follow(work.then((found) => this.#giveBack(found)));
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

/** Tells why a step was given up. */
function whyOver(reason: unknown): Pick<Attempt, "outcome" | "reason" | "message"> {
  if (reason === SUPERSEDED) return { outcome: "superseded", reason: "", message: "" };
  return { outcome: "failed", ...failure(asFault(reason)) };
}
