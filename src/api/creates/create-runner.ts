import { randomUUID } from "node:crypto";
import { serverDraining } from "../../lib/grpc/draining.ts";
import { withRemoteParent } from "../../lib/otel/tracing.ts";
import { onAbort } from "../../lib/runtime/abort.ts";
import { type Backoff, backoffMs } from "../../lib/runtime/backoff.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { Fault } from "../../lib/runtime/fault.ts";
import { startLoop } from "../../lib/runtime/lifecycle.ts";
import { logger } from "../../lib/runtime/log.ts";
import { within } from "../../lib/runtime/wait.ts";
import { runSaga, type Saga } from "../../lib/saga/saga.ts";
import { createsEnded } from "../metrics.ts";
import { Running } from "./create-run.ts";
import { toFault } from "./fault-data.ts";
import type { CreateStore } from "./intent-store.ts";
import type { StoredSaga } from "./saga-row.ts";
import type { SagaStore } from "./saga-store.ts";
import type { CreateContext } from "./steps/context.ts";
import type { CreateState } from "./steps/create-state.ts";
import { Progress, type StepProgress } from "./steps/progress.ts";

/**
 * Nobody else touches a create for this long after its owner's last sign of life, in milliseconds: what a caller who repeats a request waits
 * after an api has died. Losing it while still alive is safe: writes count for the owner only, and what is asked of others may be repeated.
 */
export const LEASE_MS = 8_000;
const RENEW_MS = 2_000;
/** A create that takes longer is undone. */
const LONGEST_MS = 15 * 60_000;
/** An undo that failed is tried again after this, doubled each time, up to the limit. */
const STUCK_RETRY: Backoff = { firstMs: 2_000, maxMs: 5 * 60_000 };

/** What the runner works with. */
export interface RunnerParts {
  readonly saga: Saga<CreateContext>;
  readonly sagas: SagaStore;
  readonly creates: CreateStore;
  readonly clock: Clock;
}

interface Run {
  readonly saga: StoredSaga;
  readonly running: Running;
  readonly abort: AbortController;
  readonly ended: Promise<CreateState>;
}

/** Runs creates that this process owns, each under a lease: those that began here, and those that others left behind. */
export class CreateRunner {
  readonly #parts: RunnerParts;
  readonly #runs = new Map<string, Run>();
  #isClosing = false;

  constructor(parts: RunnerParts) {
    this.#parts = parts;
  }

  /** How many creates run here. */
  get size(): number {
    return this.#runs.size;
  }

  /** Runs a create that has just begun. @param signal aborts it, to be undone */
  start(saga: StoredSaga, owner: string, signal: AbortSignal | undefined): Promise<CreateState> {
    return this.#launch(saga, owner, false, [], signal);
  }

  /** Goes on with a create that another run has left: forward when its caller may ask for it again, else back. */
  async resume(saga: StoredSaga, owner: string): Promise<CreateState> {
    const before = await this.#parts.sagas.steps(saga.id, 0);
    return this.#launch(saga, owner, true, before, undefined);
  }

  /** The end of a create that runs here. */
  outcome(id: string): Promise<CreateState> | undefined {
    return this.#runs.get(id)?.ended;
  }

  /** The progress of a create that runs here. */
  progress(org: string, requestId: string): Progress | undefined {
    for (const { saga, running } of this.#runs.values()) {
      if (saga.org === org && saga.requestId === requestId) return running.progress;
    }
    return undefined;
  }

  /** @throws Fault `SERVER_DRAINING` once this process takes no more creates */
  assertOpen(): void {
    if (this.#isClosing) throw draining();
  }

  /** Takes no more creates, gives those that run so long to end, then lets go of the rest. */
  async drain(graceMs: number): Promise<void> {
    this.#isClosing = true;
    await within(graceMs, "ending creates", () => this.#allEnded()).catch(() => undefined);
    await this.close();
  }

  /** Lets go of everything: creates end where they are, for another api, or this one's next life, to go on with. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const why = draining();
    for (const { running, abort } of this.#runs.values()) {
      running.abandon(why);
      abort.abort(why);
    }
    await this.#allEnded();
  }

  async #allEnded(): Promise<void> {
    await Promise.allSettled([...this.#runs.values()].map((run) => run.ended));
  }

  #launch(
    saga: StoredSaga,
    owner: string,
    isResumed: boolean,
    before: readonly StepProgress[],
    signal: AbortSignal | undefined,
  ): Promise<CreateState> {
    const { sagas, creates, clock } = this.#parts;
    const progress = new Progress(() => clock.now(), before);
    const forget = (id: string) => creates.forget(id);
    const running = new Running(saga, { owner, store: sagas, forget, progress, isResumed });
    const abort = new AbortController();
    const run = withRemoteParent(saga.traceparent, () => this.#run(saga, running, abort, signal));
    const ended = run.finally(() => {
      progress.close();
      this.#runs.delete(saga.id);
    });
    // Whoever waits hears of a failure; when nobody does, it has been stored.
    ended.catch(() => {});
    this.#runs.set(saga.id, { saga, running, abort, ended });
    if (this.#isClosing) running.abandon(draining());
    return ended;
  }

  async #run(
    saga: StoredSaga,
    running: Running,
    abort: AbortController,
    caller: AbortSignal | undefined,
  ): Promise<CreateState> {
    const stopRenewing = startLoop(RENEW_MS, 0, () => this.#renew(running, abort), { name: "renew lease" });
    const overdue = setTimeout(() => abort.abort(tooLong(saga.id)), this.#remainingMs(saga));
    using _ = onAbort(caller, () => abort.abort(caller?.reason));
    try {
      if (running.isResumed && saga.requestId === undefined && !running.hasFailed)
        await this.#turnBack(running);
      const options = running.isResumed ? { resume: running.entries, startedBy: saga.traceparent } : {};
      const result = await runSaga(this.#parts.saga, running, running, abort.signal, options);
      // Nobody is told of a machine before it is certain that no other run will take it back.
      if (result === "done") await running.finish();
      else await this.#settle(running, saga.attempts);
    } catch (err) {
      await this.#settle(running, saga.attempts);
      throw err;
    } finally {
      clearTimeout(overdue);
      await stopRenewing();
    }
    if (running.fault) throw toFault(running.fault);
    this.#tell(running, "done");
    return running.state;
  }

  /** The caller of a create that cannot be repeated went away with the process that served it: take everything back. */
  async #turnBack(running: Running): Promise<void> {
    const { steps } = this.#parts.saga;
    const done = new Set(running.entries.map((entry) => entry.step));
    const next = steps.findIndex((step) => !done.has(step.name));
    // That a step is done is stored a moment later: any of those that can be taken back may have been.
    const last = steps.findLastIndex((step) => step.undo);
    const from = next < 0 ? undefined : steps[Math.max(next, last)];
    if (from)
      await running.record(from.name, "failed", new Fault("CANCELLED", "CANCELLED", "the caller has gone"));
  }

  /** Stores how a run that is not done ended. When that fails too the lease runs out, and another run finds what is left to do. */
  async #settle(running: Running, attempts: number): Promise<void> {
    try {
      if (!running.hasFailed) await running.release(running.status, 0);
      else if (running.isStuck) await running.release("stuck", backoffMs(STUCK_RETRY, attempts));
      else await running.release(this.#isUndone(running) ? "failed" : "undoing", 0);
    } catch (error) {
      logger.warn("the end of a create could not be stored", { create_id: running.id, error });
    }
    this.#tell(running, !running.hasFailed ? "left" : running.isStuck ? "stuck" : "undone");
  }

  #tell(running: Running, outcome: "done" | "left" | "stuck" | "undone"): void {
    createsEnded.inc({ outcome });
    const facts = { create_id: running.id, outcome, ...(running.fault ? { fault: running.fault } : {}) };
    logger.info("a create has ended", facts);
  }

  /** Whether every step that may have acted has been taken back. */
  #isUndone(running: Running): boolean {
    const last = new Map(running.entries.map((entry) => [entry.step, entry.outcome]));
    return [...last.values()].every((outcome) => outcome === "undone");
  }

  async #renew(running: Running, abort: AbortController): Promise<void> {
    try {
      await running.renew(LEASE_MS);
    } catch (err) {
      if (err instanceof Fault && err.reason === "LEASE_LOST") abort.abort(err);
      throw err;
    }
  }

  #remainingMs(saga: StoredSaga): number {
    return Math.max(0, saga.createTimeMs + LONGEST_MS - this.#parts.clock.now());
  }
}

/** A new owner's name. */
export function newOwner(): string {
  return randomUUID();
}

function draining(): Fault {
  const message = "the api is shutting down; with a request_id, ask again and another goes on";
  return serverDraining(message, 1_000);
}

function tooLong(id: string): Fault {
  return new Fault(
    "DEADLINE_EXCEEDED",
    "CREATE_TIMEOUT",
    "the create took longer than 15 min and was undone",
    {
      create_id: id,
    },
  );
}
