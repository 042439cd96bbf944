import { randomUUID } from "node:crypto";
import { Fault, hasReason } from "../../lib/faults/fault.ts";
import { serverDraining } from "../../lib/grpc/draining.ts";
import { withRemoteParent } from "../../lib/otel/tracing.ts";
import { onAbort } from "../../lib/runtime/abort.ts";
import { type Backoff, backoffMs } from "../../lib/runtime/backoff.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { startLoop } from "../../lib/runtime/lifecycle.ts";
import { logger } from "../../lib/runtime/log.ts";
import { within } from "../../lib/runtime/wait.ts";
import { runSaga, type Saga } from "../../lib/saga/saga.ts";
import { createsEnded } from "./metrics.ts";
import { CreateRun } from "./saga/create-run.ts";
import type { CreateState } from "./store/create-state.ts";
import { faultFromData } from "./store/fault-data.ts";
import { Progress, type StepProgress } from "./store/progress.ts";
import type { SagaStore } from "./store/saga-store.ts";
import type { StoredSaga } from "./store/stored-saga.ts";

/**
 * How long a caller that repeats its request waits after an api has died. An owner that loses its
 * lease while it runs does no harm: its writes have no effect, and its calls may be repeated.
 */
export const LEASE_MS = 8_000;
const RENEW_INTERVAL_MS = 2_000;
/** Creates that one api resumes at a time. */
const MAX_RESUMED = 16;
/** A create that takes longer is undone. */
const CREATE_TIMEOUT_MS = 15 * 60_000;
const STUCK_RETRY: Backoff = { firstMs: 2_000, maxMs: 5 * 60_000 };

interface Run {
  readonly saga: StoredSaga;
  readonly run: CreateRun;
  readonly abort: AbortController;
  readonly ended: Promise<CreateState>;
}

/** Runs creates, each under a lease: new ones, and those that another api has left. */
export class CreateRunner {
  readonly #saga: Saga<CreateRun>;
  readonly #store: SagaStore;
  readonly #clock: Clock;
  readonly #runs = new Map<string, Run>();
  #resumed = 0;
  #stuck = 0;
  #isClosing = false;

  constructor(saga: Saga<CreateRun>, store: SagaStore, clock: Clock) {
    this.#saga = saga;
    this.#store = store;
    this.#clock = clock;
  }

  get size(): number {
    return this.#runs.size;
  }

  /** Creates of all apis with an undo that failed, as of the last {@link reconcile}. */
  get stuck(): number {
    return this.#stuck;
  }

  /** @param signal aborts the create, which undoes it */
  start(saga: StoredSaga, owner: string, signal: AbortSignal | undefined): Promise<CreateState> {
    return this.#launch(saga, owner, false, [], signal);
  }

  /** Takes over creates whose owner is gone or whose undo is to be tried again. They run on. */
  async reconcile(): Promise<void> {
    this.#stuck = await this.#store.countStuck();
    while (this.#resumed < MAX_RESUMED) {
      const owner = newOwner();
      const [saga] = await this.#store.claim(owner, LEASE_MS, 1);
      if (!saga) return;
      const { id, status, attempts } = saga;
      logger.info("a create was taken over", { create_id: id, status, attempts });
      this.#resumed += 1;
      void this.#resume(saga, owner)
        .catch(() => undefined)
        .finally(() => {
          this.#resumed -= 1;
        });
    }
  }

  outcome(id: string): Promise<CreateState> | undefined {
    return this.#runs.get(id)?.ended;
  }

  progress(org: string, requestId: string): Progress | undefined {
    for (const { saga, run } of this.#runs.values()) {
      if (saga.org === org && saga.requestId === requestId) return run.progress;
    }
    return undefined;
  }

  /** @throws Fault `SERVER_DRAINING` when this process takes no more creates */
  assertOpen(): void {
    if (this.#isClosing) throw draining();
  }

  /** Takes no more creates, waits `graceMs` for those that run, then closes. */
  async drain(graceMs: number): Promise<void> {
    this.#isClosing = true;
    await within(graceMs, "ending creates", () => this.#allEnded()).catch(() => undefined);
    await this.close();
  }

  /** Ends every run where it is. Another api, or this one when restarted, goes on with them. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const why = draining();
    for (const { run, abort } of this.#runs.values()) {
      run.abandon(why);
      abort.abort(why);
    }
    await this.#allEnded();
  }

  async #resume(saga: StoredSaga, owner: string): Promise<CreateState> {
    const before = await this.#store.steps(saga.id, 0);
    return this.#launch(saga, owner, true, before, undefined);
  }

  async #allEnded(): Promise<void> {
    await Promise.allSettled([...this.#runs.values()].map(({ ended }) => ended));
  }

  #launch(
    saga: StoredSaga,
    owner: string,
    isResumed: boolean,
    before: readonly StepProgress[],
    signal: AbortSignal | undefined,
  ): Promise<CreateState> {
    const progress = new Progress(() => this.#clock.now(), before);
    const run = new CreateRun(saga, { owner, store: this.#store, progress, isResumed });
    const abort = new AbortController();
    const ended = withRemoteParent(saga.traceparent, () => this.#run(saga, run, abort, signal)).finally(
      () => {
        progress.close();
        this.#runs.delete(saga.id);
      },
    );
    ended.catch(() => {});
    this.#runs.set(saga.id, { saga, run, abort, ended });
    if (this.#isClosing) run.abandon(draining());
    return ended;
  }

  async #run(
    saga: StoredSaga,
    run: CreateRun,
    abort: AbortController,
    caller: AbortSignal | undefined,
  ): Promise<CreateState> {
    const renew = () => this.#renew(run, abort);
    const stopRenewing = startLoop(RENEW_INTERVAL_MS, 0, renew, { name: "renew lease" });
    const timer = setTimeout(() => abort.abort(timeout(saga.id)), this.#remainingMs(saga));
    using _ = onAbort(caller, () => abort.abort(caller?.reason));
    try {
      if (run.isResumed && saga.requestId === null && !run.hasFailed) await this.#rollBack(run);
      const options = run.isResumed ? { resume: run.entries, startedBy: saga.traceparent } : {};
      const result = await runSaga(this.#saga, run, run, abort.signal, options);
      // Nobody hears of a machine that another run may still undo.
      if (result === "done") await run.end("done");
      else await this.#release(run, saga.attempts);
    } catch (err) {
      await this.#release(run, saga.attempts);
      throw err;
    } finally {
      clearTimeout(timer);
      await stopRenewing();
    }
    if (run.fault) throw faultFromData(run.fault);
    this.#report(run, "done");
    return run.state;
  }

  /** Makes a resumed run undo everything. */
  async #rollBack(run: CreateRun): Promise<void> {
    const { steps } = this.#saga;
    const done = new Set(run.entries.map((entry) => entry.step));
    const next = steps.findIndex((step) => !done.has(step.name));
    // Steps are stored later than they are done: any step with an undo may have been.
    const last = steps.findLastIndex((step) => step.undo);
    const from = next < 0 ? undefined : steps[Math.max(next, last)];
    if (from)
      await run.record(from.name, "failed", new Fault("CANCELLED", "CANCELLED", "the caller has gone"));
  }

  /** If that fails, another run takes over after the lease. */
  async #release(run: CreateRun, attempts: number): Promise<void> {
    try {
      if (!run.hasFailed) await run.end(run.status);
      else if (run.isStuck) await run.end("stuck", backoffMs(STUCK_RETRY, attempts));
      else await run.end(run.isUndone ? "failed" : "undoing");
    } catch (error) {
      logger.warn("the end of a create could not be stored", { create_id: run.id, error });
    }
    this.#report(run, !run.hasFailed ? "left" : run.isStuck ? "stuck" : "undone");
  }

  #report(run: CreateRun, outcome: "done" | "left" | "stuck" | "undone"): void {
    createsEnded.inc({ outcome });
    const facts = { create_id: run.id, outcome, ...(run.fault ? { fault: run.fault } : {}) };
    logger.info("a create has ended", facts);
  }

  async #renew(run: CreateRun, abort: AbortController): Promise<void> {
    try {
      await run.renew(LEASE_MS);
    } catch (err) {
      if (hasReason(err, "LEASE_LOST")) abort.abort(err);
      throw err;
    }
  }

  #remainingMs(saga: StoredSaga): number {
    return Math.max(0, saga.createTime.getTime() + CREATE_TIMEOUT_MS - this.#clock.now());
  }
}

export function newOwner(): string {
  return randomUUID();
}

function draining(): Fault {
  const message = "the api is shutting down; with a request_id, ask again and another goes on";
  return serverDraining(message, 1_000);
}

function timeout(id: string): Fault {
  const message = "the create took longer than 15 min and was undone";
  return new Fault("DEADLINE_EXCEEDED", "CREATE_TIMEOUT", message, { create_id: id });
}
