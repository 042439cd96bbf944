import { Fault } from "../../lib/runtime/fault.ts";
import { logger } from "../../lib/runtime/log.ts";
import { sleep } from "../../lib/runtime/wait.ts";
import { type Outcome, type SagaEntry, type SagaLog, stuckSteps } from "../../lib/saga/saga.ts";
import type { Machine } from "../machines/machine.ts";
import { type FaultData, faultData } from "./fault-data.ts";
import type { SagaStatus, StoredSaga } from "./saga-row.ts";
import type { SagaStore } from "./saga-store.ts";
import type { SagaWrite } from "./saga-write.ts";
import type { CreateContext } from "./steps/context.ts";
import {
  type Attempt,
  type CreateRequest,
  type CreateState,
  doubtfulAttempts,
} from "./steps/create-state.ts";
import type { Progress, StepProgress, Within } from "./steps/progress.ts";

/** How long a store that does not answer is tried again before the run is given up, in milliseconds. */
const STORE_PATIENCE_MS = 6_000;
const STORE_RETRY_MS = 250;
/**
 * What may wait is stored so long after the last write, at most, in milliseconds: with the next that may not, unless that is far off. Longer than a
 * create takes between two of those when all it needs is an ocean away, since a write waits for the one before it.
 */
const SOON_MS = 1_000;
/** What is in doubt is settled so long after the end, at first: late enough for a request that was broken off to have arrived. */
const SETTLE_MS = 1_000;

/**
 * One run of a create by this process: what its steps keep, and the log of what happened to them. All of it is stored under the run's
 * ownership; once that is lost, or the run is abandoned, every write throws and the run ends where it is, as in a crash.
 *
 * Postgres may be an ocean away, so nothing waits for it that need not. What is waited for: that a host is about to be asked, before it is; that
 * the saga turns back, before anything is taken back; that the machine is recorded, before it is launched; and the end. All else (a step that
 * is done, what it found) is stored with the next of these, or a moment later: lost in a crash it is done once more, which every step allows.
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
  /** What has not been stored yet. */
  readonly #steps = new Map<number, StepProgress>();
  #machine: Machine | undefined;
  #isDirty = false;
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  readonly #aside = new Set<Promise<void>>();

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
  begin(step: string): void {
    this.#step = step;
    this.#note(this.progress.begin(step));
  }

  async record(step: string, outcome: Outcome, error?: unknown): Promise<void> {
    this.#assertHeld();
    this.#entries = [...this.#entries, { step, outcome }];
    if (outcome === "failed") this.#fault = faultData(error);
    this.#status = outcome === "done" ? this.#status : "undoing";
    const status = outcome === "stuck" ? "failed" : outcome;
    const detail = error === undefined ? "" : faultData(error).message;
    this.#note(this.progress.end(step, status, detail));
    // What is taken back before that is certain would be done again by another run.
    if (outcome === "failed") await this.#write({});
  }

  async save(state: CreateState): Promise<void> {
    this.#assertHeld();
    this.#state = state;
    this.#soon();
  }

  async saveAttempt(state: CreateState, attempt: Attempt): Promise<void> {
    await this.save(state);
    await this.#write({ attempt });
  }

  async saveMachine(state: CreateState, machine: Machine): Promise<void> {
    await this.save(state);
    this.#machine = machine;
  }

  recordMachine(machine: Machine): Promise<void> {
    return this.#write({ machine, isRecorded: true });
  }

  forget(): Promise<void> {
    return this.#patiently(() => this.#forget(this.id));
  }

  report(within: Within): void {
    this.#note(this.progress.advance(this.#step, within));
  }

  meanwhile(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => logger.warn("work beside a create failed", { create_id: this.id, error }))
      .finally(() => this.#aside.delete(tracked));
    this.#aside.add(tracked);
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

  /**
   * Stores that all is done.
   *
   * @throws Fault when that is not certain: then another run goes on
   */
  async finish(): Promise<void> {
    await Promise.all(this.#aside);
    try {
      await this.#write({ status: "done", releaseMs: 0, resolveMs: this.#resolveMs });
    } catch (err) {
      // The answer to an attempt that worked may have been lost.
      const isLost = err instanceof Fault && err.reason === "LEASE_LOST";
      if (isLost && (await this.#store.get(this.id))?.status === "done") return;
      throw err;
    }
  }

  /** Stores all there is and gives the saga up in this state, to be claimed by anybody after `retryAfterMs` unless it is finished. */
  async release(status: SagaStatus, retryAfterMs: number): Promise<void> {
    await Promise.all(this.#aside);
    const resolveMs = status === "failed" ? this.#resolveMs : undefined;
    // Also when the run was abandoned: all that it has done is to be known to the one that goes on.
    await this.#inTurn(() => this.#writeNow({ status, releaseMs: retryAfterMs, resolveMs }));
  }

  /** The status to leave it in when the run ends without a result. */
  get status(): SagaStatus {
    return this.#status;
  }

  /** Undefined: no host may have a machine of it that nobody wants. */
  get #resolveMs(): number | undefined {
    return doubtfulAttempts(this.#state).length > 0 ? SETTLE_MS : undefined;
  }

  get #ownership() {
    return { id: this.id, owner: this.#owner };
  }

  #assertHeld(): void {
    if (this.#abandoned) throw this.#abandoned;
  }

  #note(progress: StepProgress): void {
    this.#steps.set(progress.sequence, progress);
    this.#soon();
  }

  /** Something is to be stored, whether or not anybody waits for a write. */
  #soon(): void {
    this.#isDirty = true;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.#abandoned || !this.#isDirty) return;
      this.#inTurn(() => this.#writeNow({})).catch((error: unknown) => {
        logger.debug("progress was not stored", { create_id: this.id, error });
        if (error instanceof Fault && error.reason === "LEASE_LOST") this.abandon(error);
      });
    }, SOON_MS);
  }

  #write(extra: Extra): Promise<void> {
    return this.#inTurn(() => this.#patiently(() => this.#writeNow(extra)));
  }

  /** One write after the other: a later one has all that an earlier one had. */
  #inTurn(write: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(write);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #writeNow(extra: Extra): Promise<void> {
    const [progress, machine] = [[...this.#steps.values()], this.#machine];
    this.#isDirty = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      await this.#store.write(this.#ownership, {
        ...{ entries: this.#entries, state: this.#state, status: this.#status, fault: this.#fault },
        ...{ progress, machine },
        ...extra,
      });
    } catch (err) {
      this.#isDirty = true;
      throw err;
    }
    for (const each of progress) {
      if (this.#steps.get(each.sequence) === each) this.#steps.delete(each.sequence);
    }
    if (this.#machine === machine) this.#machine = undefined;
  }

  /** A database that restarts must not turn a create into a failure: a write is repeated for a while. */
  async #patiently(write: () => Promise<void>): Promise<void> {
    const until = performance.now() + STORE_PATIENCE_MS;
    for (;;) {
      this.#assertHeld();
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

/** What a write has besides what every write has. */
type Extra = Partial<
  Pick<SagaWrite, "attempt" | "machine" | "isRecorded" | "status" | "releaseMs" | "resolveMs">
>;
