import { type Fault, hasReason } from "../../../lib/faults/fault.ts";
import { logger } from "../../../lib/runtime/log.ts";
import { sleep } from "../../../lib/runtime/wait.ts";
import { type Outcome, type SagaEntry, type SagaLog, stuckSteps } from "../../../lib/saga/saga.ts";
import type { PrepareProgress } from "../../hosts/hostd.ts";
import type { ImageRef, Machine } from "../../machines/machine.ts";
import {
  type Attempt,
  type CreateRequest,
  type CreateState,
  inDoubtAttempts,
} from "../store/create-state.ts";
import { type FaultData, faultToData } from "../store/fault-data.ts";
import type { Progress, StepProgress } from "../store/progress.ts";
import type { SagaStore } from "../store/saga-store.ts";
import type { SagaWrite } from "../store/saga-write.ts";
import { isFinal, type SagaStatus, type StoredSaga } from "../store/stored-saga.ts";

const STORE_RETRY_LIMIT_MS = 6_000;
const STORE_RETRY_MS = 250;
/** How long a write that nothing waits for may be delayed, to go with the next one. */
const WRITE_DELAY_MS = 1_000;
/** Before a create in doubt is resolved first: an aborted award has arrived by then. */
const RESOLVE_DELAY_MS = 1_000;

export interface CreateRunOptions {
  readonly owner: string;
  readonly store: SagaStore;
  readonly progress: Progress;
  readonly isResumed: boolean;
}

/**
 * One run of a create by this process: its state, and the log of its steps. Once it is abandoned or
 * has lost its lease, every write throws and it ends where it is, as in a crash.
 *
 * Four writes are waited for: an award before its host is asked; a failed step before anything is
 * undone; the commit before the launch; and the end. The rest is stored with the next write or
 * after {@link WRITE_DELAY_MS}: lost in a crash, it is done again.
 */
export class CreateRun implements SagaLog {
  readonly id: string;
  readonly request: CreateRequest;
  readonly createTraceId: string;
  /** Whether an earlier run may have done some steps. */
  readonly isResumed: boolean;
  readonly progress: Progress;
  readonly #owner: string;
  readonly #store: SagaStore;
  /** Whether anybody can ask for its progress, which is by its request id. */
  readonly #isWatchable: boolean;
  #entries: readonly SagaEntry[];
  #state: CreateState;
  #status: SagaStatus;
  #fault: FaultData | null;
  #abandoned: Fault | undefined;
  #step = "";
  readonly #unstoredSteps = new Map<number, StepProgress>();
  #unstoredMachine: Machine | undefined;
  #isDirty = false;
  #timer: NodeJS.Timeout | undefined;
  #lastWrite: Promise<unknown> = Promise.resolve();
  readonly #background = new Set<Promise<void>>();

  constructor(saga: StoredSaga, { owner, store, progress, isResumed }: CreateRunOptions) {
    this.id = saga.id;
    if (!saga.request) throw new Error("a create that has ended does not run");
    this.request = saga.request;
    this.#isWatchable = saga.requestId !== null;
    this.createTraceId = saga.traceparent.split("-")[1] ?? "";
    this.isResumed = isResumed;
    this.progress = progress;
    this.#owner = owner;
    this.#store = store;
    this.#entries = saga.entries;
    this.#state = saga.state;
    this.#status = saga.status;
    this.#fault = saga.fault;
    // Done by the transaction that stored the saga.
    if (progress.isEmpty) this.#addProgress(progress.end("preflight", "done"));
  }

  get state(): CreateState {
    return this.#state;
  }

  get entries(): readonly SagaEntry[] {
    return this.#entries;
  }

  get status(): SagaStatus {
    return this.#status;
  }

  get fault(): FaultData | null {
    return this.#fault;
  }

  /** Whether a step has failed, after which steps are only undone. */
  get hasFailed(): boolean {
    return this.#entries.some((entry) => entry.outcome !== "done");
  }

  get isStuck(): boolean {
    return stuckSteps(this.#entries).length > 0;
  }

  get isUndone(): boolean {
    const last = new Map(this.#entries.map((entry) => [entry.step, entry.outcome]));
    return [...last.values()].every((outcome) => outcome === "undone");
  }

  /** The image that the step `resolve` has found. */
  get image(): ImageRef {
    if (!this.#state.image) throw new Error("the image has not been resolved");
    return this.#state.image;
  }

  /** Ends the run where it is: nothing is stored or undone any more. */
  abandon(why: Fault): void {
    this.#abandoned ??= why;
  }

  begin(step: string): void {
    this.#step = step;
    this.#addProgress(this.progress.begin(step));
  }

  async record(step: string, outcome: Outcome, error?: unknown): Promise<void> {
    this.#assertOwned();
    this.#entries = [...this.#entries, { step, outcome }];
    if (outcome === "failed") this.#fault = faultToData(error);
    if (outcome !== "done") this.#status = "undoing";
    const detail = error === undefined ? "" : faultToData(error).message;
    this.#addProgress(this.progress.end(step, outcome === "stuck" ? "failed" : outcome, detail));
    // Otherwise another run could do again what is being undone.
    if (outcome === "failed") await this.#write({});
  }

  save(state: CreateState): void {
    this.#assertOwned();
    this.#state = state;
    this.#scheduleWrite();
  }

  async saveAttempt(state: CreateState, attempt: Attempt): Promise<void> {
    this.save(state);
    await this.#write({ attempt });
  }

  /** Keeps the machine as its host described it, and the state. Both are stored later. */
  saveMachine(machine: Machine, state: CreateState = this.#state): void {
    this.save({ ...state, machine });
    this.#unstoredMachine = machine;
  }

  /** @throws Fault `MACHINE_DESTROYED` */
  commitMachine(machine: Machine): Promise<void> {
    return this.#write({ machine, isCommitted: true });
  }

  report(detail: PrepareProgress): void {
    this.#addProgress(this.progress.advance(this.#step, detail));
  }

  /** Does work that only the end of the run waits for. Logs its failure. */
  inBackground(work: () => Promise<void>): void {
    const tracked = work()
      .catch((error: unknown) => logger.warn("work beside a create failed", { create_id: this.id, error }))
      .finally(() => this.#background.delete(tracked));
    this.#background.add(tracked);
  }

  /** Renews the lease. Abandons the run when another api has it. */
  async renew(leaseMs: number): Promise<void> {
    try {
      await this.#store.renew(this.#ownership, leaseMs);
    } catch (err) {
      if (hasReason(err, "LEASE_LOST")) this.abandon(err);
      throw err;
    }
  }

  /**
   * Stores everything and gives the saga up. Any api may claim an unfinished one after
   * `retryAfterMs`. @throws Fault when the end may not be stored; then another run goes on
   */
  async end(status: SagaStatus, retryAfterMs = 0): Promise<void> {
    await Promise.all(this.#background);
    if (status === "failed") this.#addProgress(this.progress.end("preflight", "undone"));
    const isInDoubt = isFinal(status) && inDoubtAttempts(this.#state).length > 0;
    const end = { status, releaseMs: retryAfterMs, resolveMs: isInDoubt ? RESOLVE_DELAY_MS : undefined };
    try {
      if (status === "done" || (isFinal(status) && !this.#abandoned)) await this.#write(end);
      // Also when abandoned: what the run has done must be known to the next one.
      else await this.#afterLastWrite(() => this.#writeNow(end));
    } catch (err) {
      // An earlier attempt may have succeeded without an answer.
      const wasStored = isFinal(status) && hasReason(err, "LEASE_LOST") && (await this.#store.get(this.id));
      if (!wasStored || wasStored.status !== status) throw err;
    }
  }

  get #ownership() {
    return { id: this.id, owner: this.#owner };
  }

  #assertOwned(): void {
    if (this.#abandoned) throw this.#abandoned;
  }

  #addProgress(progress: StepProgress): void {
    if (this.#isWatchable) this.#unstoredSteps.set(progress.sequence, progress);
    this.#scheduleWrite();
  }

  #scheduleWrite(): void {
    this.#isDirty = true;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.#abandoned || !this.#isDirty) return;
      this.#afterLastWrite(() => this.#writeNow({})).catch((error: unknown) => {
        logger.debug("progress was not stored", { create_id: this.id, error });
        if (hasReason(error, "LEASE_LOST")) this.abandon(error);
      });
    }, WRITE_DELAY_MS);
  }

  #write(changes: Partial<SagaWrite>): Promise<void> {
    return this.#afterLastWrite(() => this.#withRetry(() => this.#writeNow(changes)));
  }

  /** Orders writes: each one has everything that an earlier one had. */
  #afterLastWrite(write: () => Promise<void>): Promise<void> {
    const next = this.#lastWrite.then(write);
    this.#lastWrite = next.catch(() => undefined);
    return next;
  }

  async #writeNow(changes: Partial<SagaWrite>): Promise<void> {
    const [progress, machine] = [[...this.#unstoredSteps.values()], this.#unstoredMachine];
    this.#isDirty = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      await this.#store.write(this.#ownership, {
        ...{ entries: this.#entries, state: this.#state, status: this.#status, fault: this.#fault },
        ...{ progress, machine: changes.status === "failed" ? undefined : machine },
        ...changes,
      });
    } catch (err) {
      this.#isDirty = true;
      throw err;
    }
    for (const each of progress) {
      if (this.#unstoredSteps.get(each.sequence) === each) this.#unstoredSteps.delete(each.sequence);
    }
    if (this.#unstoredMachine === machine) this.#unstoredMachine = undefined;
  }

  /** Repeats a write while the database is unavailable: its restart must not fail a create. */
  async #withRetry(write: () => Promise<void>): Promise<void> {
    const deadline = performance.now() + STORE_RETRY_LIMIT_MS;
    for (;;) {
      this.#assertOwned();
      try {
        await write();
        return;
      } catch (err) {
        if (!hasReason(err, "DATABASE_UNAVAILABLE") || performance.now() > deadline) throw err;
        await sleep(STORE_RETRY_MS);
      }
    }
  }
}
