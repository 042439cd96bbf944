import { Fault, hasReason } from "../../lib/faults/fault.ts";
import { abortable } from "../../lib/runtime/abort.ts";
import { type Backoff, backoffMs } from "../../lib/runtime/backoff.ts";
import { logger } from "../../lib/runtime/log.ts";
import { endsWithin, sleep } from "../../lib/runtime/wait.ts";
import type { OutboxEntry, Store } from "../store/store.ts";
import type { OutboxProgress } from "./outbox-progress.ts";

/** An api that changes are delivered to. */
export interface ReportsApi {
  readonly address: string;
  /** Delivers as many changes, from the first on, as one report takes. Returns the last sequence that the database has. */
  report(entries: readonly OutboxEntry[], options: BatchOptions): Promise<number>;
}

export interface BatchOptions {
  /** Encoded size of a report. One change is sent whatever its size. */
  readonly maxBytes: number;
  /** Whether machines are sent with their configuration, which the database may lack. */
  readonly isWhole: boolean;
}

export interface OutboxOptions {
  readonly source: Pick<Store, "sequence" | "acknowledged" | "all" | "outbox" | "acknowledge" | "onOutbox">;
  /** In order of preference. The outbox stays with one that answers. */
  readonly apis: readonly ReportsApi[];
  readonly signal: AbortSignal;
  readonly progress: OutboxProgress;
  /** Longest pause between attempts, for tests. Default 5 s. */
  readonly longestPauseMs?: number;
}

const MAX_BATCH = 500;
/** Far below what a message may have, and large enough that its cost is that of the transaction. */
const MAX_BATCH_BYTES = 1024 * 1024;
/** A refused report is sent again in parts of this share. */
const SHRINK = 8;
const GROW = 2;
/** Changes of this time are delivered together: a delivery costs api and database as much as a start does. */
const BATCH_DELAY_MS = 20;
/** Delays the report that a start has begun until its outcome, so that few deliveries compete with a start under way. */
const START_OUTCOME_DELAY_MS = 100;
const RETRY: Backoff = { firstMs: 100, maxMs: 5_000 };

/** Delivers the changes of this host to the database through any api: in order, at least once, retried until acknowledged. */
export class Outbox {
  readonly #options: OutboxOptions;
  #sent: number;
  #current = 0;
  #failures = 0;
  #wake: () => void = () => {};
  #hasNew = false;
  #lastReason: string | undefined;
  #maxBytes = MAX_BATCH_BYTES;
  #isWhole = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#sent = options.source.acknowledged;
    options.source.onOutbox(() => {
      this.#hasNew = true;
      this.#wake();
    });
  }

  /** Delivers until the signal aborts. Never rejects. */
  async run(): Promise<void> {
    const { signal } = this.#options;
    if (this.#options.apis.length === 0) return;
    while (!signal.aborted) {
      try {
        const isMore = await this.#deliver();
        this.#failures = 0;
        this.#lastReason = undefined;
        if (isMore) continue;
        await this.#untilNew();
        await sleep(BATCH_DELAY_MS, signal);
      } catch (error) {
        await this.#failed(error);
      }
    }
  }

  async drained(): Promise<void> {
    const { source, signal, apis } = this.#options;
    while (apis.length > 0 && !signal.aborted && (await source.outbox(this.#sent, 1)).length > 0)
      await sleep(20, signal);
  }

  /** Delivers one batch. Returns whether more is left. */
  async #deliver(): Promise<boolean> {
    let entries = await this.#read();
    if (entries.length === 0) return false;
    if (entries.every(({ machine }) => machine.state === "starting")) {
      await this.#untilNew(START_OUTCOME_DELAY_MS);
      entries = await this.#read();
    }
    const api = this.#api();
    const last = entries.at(-1)?.sequence ?? 0;
    try {
      const applied = await api.report(entries, { maxBytes: this.#maxBytes, isWhole: this.#isWhole });
      if (applied <= this.#sent) throw new Error(`an api has acknowledged nothing after ${this.#sent}`);
      await this.#acknowledge(Math.min(applied, last));
    } catch (err) {
      await this.#refused(api, err);
      return true;
    }
    this.#isWhole = false;
    this.#maxBytes = Math.min(MAX_BATCH_BYTES, this.#maxBytes * GROW);
    // Changes that came during the report are sent with the next batch.
    return entries.length === MAX_BATCH || this.#sent < last;
  }

  /** Does what the error asks for. Throws it when the same changes are to be sent again after a pause. */
  async #refused(api: ReportsApi, err: unknown): Promise<void> {
    const applied = hasReason(err, "SEQUENCE_GAP") ? Number(err.facts["applied"]) : Number.NaN;
    if (Number.isSafeInteger(applied)) return this.#resendAfter(api, applied);
    if (hasReason(err, "MACHINE_NOT_DESCRIBED") && !this.#isWhole) {
      this.#isWhole = true;
      return;
    }
    // A smaller report may pass, and delivers at least the changes before the one that is refused.
    if (!isAway(err)) this.#maxBytes = Math.max(1, Math.floor(this.#maxBytes / SHRINK));
    throw err;
  }

  #read(): Promise<readonly OutboxEntry[]> {
    this.#hasNew = false;
    return this.#options.source.outbox(this.#sent, MAX_BATCH);
  }

  async #acknowledge(sequence: number): Promise<void> {
    if (sequence <= this.#sent && sequence <= this.#options.source.acknowledged) return;
    await this.#options.source.acknowledge(sequence);
    this.#sent = sequence;
    this.#options.progress.moved();
  }

  /**
   * Goes back to the sequence that the database has. After a restore of the database the host no longer has the changes that follow:
   * it then sends its machines as they are under those sequences.
   */
  async #resendAfter(api: ReportsApi, applied: number): Promise<void> {
    const [oldest] = await this.#options.source.outbox(0, 1);
    if (oldest && applied + 1 < oldest.sequence) {
      const facts = { applied, oldest: oldest.sequence };
      logger.error("the database lacks old changes of this host: sending its machines as they are", facts);
      await this.#fillGap(api, applied + 1, oldest.sequence - 1);
      this.#sent = oldest.sequence - 1;
    } else {
      this.#sent = applied;
    }
  }

  async #fillGap(api: ReportsApi, from: number, to: number): Promise<void> {
    const machines = [...this.#options.source.all()];
    if (machines.length === 0) throw new Error("there is no machine to fill the gap with");
    for (let next = from; next <= to; ) {
      const length = Math.min(MAX_BATCH, to - next + 1);
      const entries = Array.from({ length }, (_, index) => {
        const sequence = next + index;
        const machine = machines[(sequence - from) % machines.length];
        return machine ? [{ sequence, machine, event: undefined, isWhole: false }] : [];
      });
      const isWhole = next - from < machines.length;
      const applied = await api.report(entries.flat(), { maxBytes: this.#maxBytes, isWhole });
      if (applied < next) throw new Error(`an api has acknowledged nothing after ${next - 1}`);
      next = applied + 1;
    }
  }

  async #failed(error: unknown): Promise<void> {
    this.#options.progress.failed();
    const reason = error instanceof Fault ? error.reason : "INTERNAL";
    // Once per reason: an outage may last for hours.
    if (reason !== this.#lastReason)
      logger.warn("could not deliver changes to an api", { api: this.#api().address, reason, error });
    this.#lastReason = reason;
    this.#current += 1;
    // The pause grows after each round of all apis.
    const round = Math.floor(this.#failures / this.#options.apis.length);
    this.#failures += 1;
    const maxMs = this.#options.longestPauseMs ?? RETRY.maxMs;
    await sleep(backoffMs({ ...RETRY, maxMs }, round), this.#options.signal);
  }

  #api(): ReportsApi {
    const { apis } = this.#options;
    const api = apis[this.#current % apis.length];
    if (!api) throw new Error("the outbox has no api");
    return api;
  }

  /** Waits until something was written since the last read, at most `ms`. */
  async #untilNew(ms?: number): Promise<void> {
    const { signal } = this.#options;
    if (this.#hasNew || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    if (ms === undefined) await abortable(promise, signal).catch(() => {});
    else await endsWithin(ms, promise, signal);
  }
}

/** Whether nothing can be said about the report: it has not been read. */
function isAway(err: unknown): boolean {
  return err instanceof Fault && err.code === "UNAVAILABLE";
}
