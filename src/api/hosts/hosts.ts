import type { Clock } from "../../lib/runtime/clock.ts";
import { hasReason } from "../../lib/runtime/fault.ts";
import { logger } from "../../lib/runtime/log.ts";
import { within } from "../../lib/runtime/wait.ts";
import type { HostStore } from "./host-store.ts";
import { type HostEntry, type HostTable, isSame } from "./host-table.ts";
import type { HostAddress } from "./hostd-client.ts";
import type { AskHello } from "./hostd-hello.ts";
import type { HostEvent } from "./outbox.ts";

/** A host's word waits this long for the record, in milliseconds, and is good without it. */
const RECORD_MS = 2_000;
/** An unchanged entry is written again after this: `last seen` in the record is as coarse as that. */
const RECORD_EVERY_MS = 30_000;
/** A host that is not in the table is looked for in the record for so long, at most. */
const FIND_MS = 500;

/** What hosts say of themselves and their machines: into the table at once, into the record when it can be reached. */
export class Hosts {
  readonly #table: HostTable;
  readonly #store: HostStore;
  readonly #clock: Clock;
  readonly #askHello: AskHello;
  readonly #recorded = new Map<number, HostEntry>();
  #readAt: Date | undefined;
  #finding: Promise<void> | undefined;

  constructor(table: HostTable, store: HostStore, clock: Clock, askHello: AskHello) {
    this.#table = table;
    this.#store = store;
    this.#clock = clock;
    this.#askHello = askHello;
  }

  /** A host that the table knows: all that a start needs. */
  get(number: number): HostEntry | undefined {
    return this.#table.get(number);
  }

  /** A host that the table may not know yet, because another api was told a moment ago: the record is looked at, by one at a time, and not for long. */
  async find(number: number): Promise<HostEntry | undefined> {
    this.#finding ??= within(FIND_MS, "looking for a host", () => this.refresh())
      .catch(() => undefined)
      .finally(() => {
        this.#finding = undefined;
      });
    await this.#finding;
    return this.#table.get(number);
  }

  /** A host has been given a machine: whoever starts it must find it, even if the host has not announced itself here yet. */
  async meet(host: HostAddress): Promise<void> {
    if (this.#table.get(host.number)) return;
    try {
      const said = await this.#askHello(host);
      if (said.number === host.number) await this.announce(said);
    } catch (error) {
      logger.warn("a new host could not be asked who it is", { host: host.number, error });
    }
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
