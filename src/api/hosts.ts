import type { Clock } from "../lib/clock.ts";
import { hasReason } from "../lib/fault.ts";
import { logger } from "../lib/log.ts";
import { within } from "../lib/wait.ts";
import type { HostStore } from "./adapters/host-store.ts";
import { type HostEntry, type HostTable, isSame } from "./domain/host-table.ts";
import type { HostEvent } from "./domain/outbox.ts";

/** A host's word waits this long for the record, in milliseconds, and is good without it. */
const RECORD_MS = 2_000;
/** An unchanged entry is written again after this: `last seen` in the record is as coarse as that. */
const RECORD_EVERY_MS = 30_000;

/** What hosts say of themselves and their machines: into the table at once, into the record when it can be reached. */
export class Hosts {
  readonly #table: HostTable;
  readonly #store: HostStore;
  readonly #clock: Clock;
  readonly #recorded = new Map<number, HostEntry>();
  #readAt: Date | undefined;

  constructor(table: HostTable, store: HostStore, clock: Clock) {
    this.#table = table;
    this.#store = store;
    this.#clock = clock;
  }

  /**
   * A host says where it is.
   *
   * @returns whether that is in the record too
   * @throws Fault `HOST_NUMBER_TAKEN`
   */
  async announce(said: Omit<HostEntry, "lastSeenMs">): Promise<boolean> {
    const entry = { ...said, lastSeenMs: this.#clock.now() };
    this.#table.announce(entry);
    const last = this.#recorded.get(entry.number);
    if (last && isSame(last, entry) && entry.lastSeenMs - last.lastSeenMs < RECORD_EVERY_MS) return true;
    try {
      await within(RECORD_MS, "recording a host", () => this.#store.announce(entry));
      this.#recorded.set(entry.number, entry);
      return true;
    } catch (error) {
      if (hasReason(error, "HOST_NUMBER_TAKEN")) {
        // It announced itself here before the record could be asked; the record knows who was first.
        await this.refresh(true);
        throw error;
      }
      logger.warn("a host could not be recorded", { host: entry.number, error });
      return false;
    }
  }

  /** Applies events of a host's outbox. @throws Fault `HOST_NUMBER_TAKEN`, `SEQUENCE_GAP`, `DATABASE_UNAVAILABLE` */
  report(hostNumber: number, identity: string, events: readonly HostEvent[]): Promise<bigint> {
    return this.#store.applyEvents(hostNumber, identity, events);
  }

  /** Learns from the record what other apis were told. @param isFull everything, not only what changed */
  async refresh(isFull = false): Promise<void> {
    const { entries, now } = await this.#store.changedSince(isFull ? undefined : this.#readAt);
    this.#readAt = now;
    for (const entry of entries) this.#table.learn(entry);
  }
}
