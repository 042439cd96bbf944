import type {
  AnnounceHostRequest,
  HostEvent,
  ReportEventsRequest,
} from "../../gen/windhover/admin/v1/hosts.ts";
import { Fault, hasReason } from "../../lib/faults/fault.ts";
import { onAbort } from "../../lib/runtime/abort.ts";
import { type Backoff, backoffMs } from "../../lib/runtime/backoff.ts";
import { logger } from "../../lib/runtime/log.ts";
import { sleep } from "../../lib/runtime/wait.ts";
import type { Machine } from "../machines/machine.ts";
import type { OutboxEntry } from "../store/store.ts";

/** Where the outbox is kept. */
export interface OutboxSource {
  readonly acknowledged: number;
  all(): Iterable<Machine>;
  outbox(after: number, limit: number): Promise<readonly OutboxEntry[]>;
  acknowledge(sequence: number): Promise<void>;
  onOutbox(listener: () => void): void;
}

/** One api as hosts see it. */
export interface ReportsApi {
  readonly address: string;
  /** Delivers events; returns the last sequence that is in the record. */
  report(request: ReportEventsRequest): Promise<number>;
  announce(request: AnnounceHostRequest): Promise<void>;
}

/** What an outbox is made of. */
export interface OutboxOptions {
  readonly source: OutboxSource;
  /** In the order of preference; whichever answers is kept to. */
  readonly apis: readonly ReportsApi[];
  readonly host: { readonly number: number; readonly identity: string };
  readonly toEvent: (entry: OutboxEntry) => HostEvent;
  readonly signal: AbortSignal;
  /** Longest pause between attempts, for tests. Default 5 s. */
  readonly longestPauseMs?: number;
}

const MAX_BATCH = 500;
/** Changes that come together travel together: a delivery costs two processes and the database as much as a start. */
const DEBOUNCE_MS = 20;
/** That starts have begun waits this long for how they ended, so that most deliveries stay out of the way of a start that is under way. */
const LINGER_MS = 100;
const RETRY: Backoff = { firstMs: 100, maxMs: 5_000 };

/**
 * Carries this host's changes to the central record: in order, at least once, by whichever api answers. What has been acknowledged is forgotten;
 * what has not waits on disk for as long as it takes.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  #sent: number;
  #current = 0;
  #failures = 0;
  #wake: (() => void) | undefined;
  #isRung = false;
  #lastReason: string | undefined;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#sent = options.source.acknowledged;
    options.source.onOutbox(() => this.#ring());
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
        await this.#untilRung();
        await sleep(DEBOUNCE_MS, signal);
      } catch (error) {
        await this.#failed(error);
      }
    }
  }

  /** Resolves when nothing is left to deliver. */
  async drained(): Promise<void> {
    const { source, signal, apis } = this.#options;
    while (apis.length > 0 && !signal.aborted && (await source.outbox(this.#sent, 1)).length > 0)
      await sleep(20, signal);
  }

  /** Delivers one batch; whether more of it is known to be left. */
  async #deliver(): Promise<boolean> {
    const { host, toEvent } = this.#options;
    let entries = await this.#read();
    if (entries.length === 0) return false;
    if (entries.every(({ machine }) => machine.state === "starting")) {
      await this.#untilRung(LINGER_MS);
      entries = await this.#read();
    }
    const api = this.#api();
    try {
      const applied = await api.report({
        hostNumber: host.number,
        identity: host.identity,
        events: entries.map(toEvent),
      });
      await this.#acknowledge(Math.min(applied, entries.at(-1)?.sequence ?? applied));
    } catch (err) {
      const applied = hasReason(err, "SEQUENCE_GAP") ? Number(err.facts["applied"]) : Number.NaN;
      if (!Number.isSafeInteger(applied)) throw err;
      await this.#goBack(api, applied);
      return true;
    }
    return entries.length === MAX_BATCH || this.#sent < (entries.at(-1)?.sequence ?? 0);
  }

  /** The oldest that has not been delivered. Whoever rings from here on rings for more. */
  #read(): Promise<readonly OutboxEntry[]> {
    this.#isRung = false;
    return this.#options.source.outbox(this.#sent, MAX_BATCH);
  }

  async #acknowledge(sequence: number): Promise<void> {
    if (sequence <= this.#sent && sequence <= this.#options.source.acknowledged) return;
    await this.#options.source.acknowledge(sequence);
    this.#sent = sequence;
  }

  /**
   * The record is behind what we believed: what it lacks is sent again. When we no longer have it (the record was restored to an
   * earlier time), those sequences carry the present state of the machines instead, so the record ends up right.
   */
  async #goBack(api: ReportsApi, applied: number): Promise<void> {
    const { source } = this.#options;
    const [oldest] = await source.outbox(0, 1);
    if (oldest && applied + 1 < oldest.sequence) {
      logger.error("the central record has lost events of this host; it gets its machines as they are", {
        applied,
        oldest: oldest.sequence,
      });
      await this.#refill(api, applied + 1, oldest.sequence - 1);
      this.#sent = oldest.sequence - 1;
    } else {
      this.#sent = applied;
    }
  }

  async #refill(api: ReportsApi, from: number, to: number): Promise<void> {
    const { source, host, toEvent } = this.#options;
    const machines = [...source.all()];
    if (machines.length === 0) throw new Error("there is no machine to tell the record of");
    for (let first = from; first <= to; first += MAX_BATCH) {
      const length = Math.min(MAX_BATCH, to - first + 1);
      const events = Array.from({ length }, (_, index) => {
        const sequence = first + index;
        const machine = machines[(sequence - from) % machines.length];
        return machine ? [toEvent({ sequence, machine, event: undefined })] : [];
      });
      await api.report({ hostNumber: host.number, identity: host.identity, events: events.flat() });
    }
  }

  async #failed(error: unknown): Promise<void> {
    const reason = error instanceof Fault ? error.reason : "INTERNAL";
    // Once per change of the reason: an outage may last for hours.
    if (reason !== this.#lastReason) {
      logger.warn("changes could not be delivered to the central record", {
        api: this.#api().address,
        reason,
        error,
      });
    }
    this.#lastReason = reason;
    this.#current += 1;
    // All apis are tried in quick succession before the pauses grow.
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

  #ring(): void {
    this.#isRung = true;
    this.#wake?.();
  }

  /** Resolves when there is something new since the last look; `ms` bounds the wait. */
  async #untilRung(ms?: number): Promise<void> {
    const { signal } = this.#options;
    if (this.#isRung || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
    this.#wake = resolve;
    using _ = onAbort(signal, resolve);
    await promise;
    clearTimeout(timer);
    this.#wake = undefined;
  }
}
