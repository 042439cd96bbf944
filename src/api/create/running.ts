import { Fault } from "../../lib/fault.ts";
import { logger } from "../../lib/log.ts";
import { type Outcome, type SagaEntry, type SagaLog, stuckSteps } from "../../lib/saga.ts";
import { sleep } from "../../lib/wait.ts";
import type { SagaStatus, StoredSaga } from "../adapters/saga-row.ts";
import type { SagaStore } from "../adapters/saga-store.ts";
import type { Attempt, CreateRequest, CreateState } from "../domain/create-state.ts";
import { type FaultData, faultData } from "../domain/fault-data.ts";
import type { Machine } from "../domain/machine.ts";
import type { Progress, Within } from "../domain/progress.ts";
import type { CreateContext } from "./context.ts";

/** How long a store that does not answer is tried again before the run is given up, in milliseconds. */
const STORE_PATIENCE_MS = 6_000;
const STORE_RETRY_MS = 250;
/** Progress within a step is stored this often, at most. */
const REPORT_MS = 1_000;

/**
 * One run of a create by this process: what its steps keep, and the log of what happened to them. All of it is stored under the run's
 * ownership; once that is lost, or the run is abandoned, every write throws and the run ends where it is, as in a crash.
 */
export class Running implements CreateContext, SagaLog {
  readonly id: string;
  readonly request: CreateRequest;
  readonly createTraceId: string;
  readonly isResumed: boolean;
  readonly progress: Progress;
  readonly #owner: string;
  readonly #store: SagaStore;
  readonly #forget: (createId: string) => Promise<void>;
  #entries: readonly SagaEntry[];
  #state: CreateState;
  #status: SagaStatus;
  #fault: FaultData | undefined;
  #abandoned: Fault | undefined;
  #step = "";
  #reportedAt = 0;
  #reporting: Promise<void> | undefined;

  constructor(
    saga: StoredSaga,
    options: {
      readonly owner: string;
      readonly store: SagaStore;
      readonly forget: (createId: string) => Promise<void>;
      readonly progress: Progress;
      readonly isResumed: boolean;
    },
  ) {
    this.id = saga.id;
    this.request = saga.request;
    this.createTraceId = saga.traceparent.split("-")[1] ?? "";
    this.isResumed = options.isResumed;
    this.progress = options.progress;
    this.#owner = options.owner;
    this.#store = options.store;
    this.#forget = options.forget;
    this.#entries = saga.entries;
    this.#state = saga.state;
    this.#status = saga.status;
    this.#fault = saga.fault;
  }

  get state(): CreateState {
    return this.#state;
  }

  get entries(): readonly SagaEntry[] {
    return this.#entries;
  }

  /** Why it failed, once it has. */
  get fault(): FaultData | undefined {
    return this.#fault;
  }

  /** Whether it has turned back. */
  get hasFailed(): boolean {
    return this.#entries.some((entry) => entry.outcome !== "done");
  }

  /** Whether something could not be taken back. */
  get isStuck(): boolean {
    return stuckSteps(this.#entries).length > 0;
  }

  /** The run is over, however far it is: nothing is stored any more, and nothing undone. */
  abandon(why: Fault): void {
    this.#abandoned ??= why;
  }

  /** A step begins. */
  async begin(step: string): Promise<void> {
    this.#step = step;
    await this.#tell(this.progress.begin(step));
  }

  async record(step: string, outcome: Outcome, error?: unknown): Promise<void> {
    const entries = [...this.#entries, { step, outcome }];
    if (outcome === "failed") this.#fault = faultData(error);
    this.#status = outcome === "done" ? this.#status : "undoing";
    const status = outcome === "stuck" ? "failed" : outcome;
    const detail = error === undefined ? "" : faultData(error).message;
    const progress = this.progress.end(step, status, detail);
    await this.#reporting;
    await this.#write(() =>
      this.#store.record(this.#ownership, {
        entries,
        state: this.#state,
        status: this.#status,
        fault: this.#fault,
        progress,
      }),
    );
    this.#entries = entries;
  }

  async save(state: CreateState): Promise<void> {
    await this.#write(() => this.#store.save(this.#ownership, state));
    this.#state = state;
  }

  async saveAttempt(state: CreateState, attempt: Attempt): Promise<void> {
    await this.#write(() => this.#store.saveAttempt(this.#ownership, state, attempt));
    this.#state = state;
  }

  async saveMachine(state: CreateState, machine: Machine): Promise<void> {
    await this.#write(() => this.#store.saveMachine(this.#ownership, state, machine));
    this.#state = state;
  }

  recordMachine(machine: Machine): Promise<void> {
    return this.#write(() => this.#store.recordMachine(this.id, machine));
  }

  forget(): Promise<void> {
    return this.#write(() => this.#forget(this.id));
  }

  report(within: Within): void {
    const progress = this.progress.advance(this.#step, within);
    if (this.#reporting || progress.timeMs - this.#reportedAt < REPORT_MS) return;
    this.#reportedAt = progress.timeMs;
    this.#reporting = this.#tell(progress).finally(() => {
      this.#reporting = undefined;
    });
  }

  /** Renews the lease; loses the run when that fails because somebody else has it. */
  async renew(leaseMs: number): Promise<void> {
    try {
      await this.#store.renew(this.#ownership, leaseMs);
    } catch (err) {
      if (err instanceof Fault && err.reason === "LEASE_LOST") this.abandon(err);
      throw err;
    }
  }

  /** Gives the saga up in this state, to be claimed by anybody after `retryAfterMs` unless it is finished. */
  release(status: SagaStatus, retryAfterMs: number): Promise<void> {
    return this.#store.release(this.#ownership, status, retryAfterMs);
  }

  /** The status to leave it in when the run ends without a result. */
  get status(): SagaStatus {
    return this.#status;
  }

  get #ownership() {
    return { id: this.id, owner: this.#owner };
  }

  /** Writes for those who watch; losing one does no harm. */
  async #tell(progress: Parameters<SagaStore["progress"]>[1]): Promise<void> {
    try {
      await this.#store.progress(this.id, progress);
    } catch (error) {
      logger.debug("progress was not stored", { create_id: this.id, error });
    }
  }

  /** A database that restarts must not turn a create into a failure: a write is repeated for a while. */
  async #write(write: () => Promise<void>): Promise<void> {
    const until = performance.now() + STORE_PATIENCE_MS;
    for (;;) {
      if (this.#abandoned) throw this.#abandoned;
      try {
        await write();
        return;
      } catch (err) {
        const passes = err instanceof Fault && err.reason === "DATABASE_UNAVAILABLE";
        if (!passes || performance.now() > until) throw err;
        await sleep(STORE_RETRY_MS);
      }
    }
  }
}
