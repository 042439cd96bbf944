import { Fault, hasReason } from "../../lib/faults/fault.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { logger } from "../../lib/runtime/log.ts";
import { within } from "../../lib/runtime/wait.ts";
import type { HostAddress, HostDirectory } from "../machines/host/host-address.ts";
import type { HostStore } from "./host-store.ts";
import { type AnnouncedHost, type HostEntry, type HostTable, isSame } from "./host-table.ts";
import type { Hostd } from "./hostd.ts";
import type { HostEvent } from "./outbox.ts";

/** An announcement waits this long for the database, and is valid without it. */
const STORE_TIMEOUT_MS = 2_000;
/** The resolution of `lastSeenMs` in the database. */
const STORE_INTERVAL_MS = 30_000;
const FIND_TIMEOUT_MS = 500;
const GET_HOST_TIMEOUT_MS = 2_000;

/** What is called when hosts have said something. */
export interface HostsListeners {
  /** A host is up. */
  readonly announcement?: (address: string) => void;
  /** A report has been stored. @param isWhole whether it describes a machine whole, not only as it is now */
  readonly report?: (isWhole: boolean) => void;
}

/** Takes announcements and reports of hosts, with or without the database. */
export class Hosts implements HostDirectory {
  readonly #table: HostTable;
  readonly #store: HostStore;
  readonly #clock: Clock;
  readonly #hostd: Hostd;
  readonly #on: HostsListeners;
  readonly #stored = new Map<number, HostEntry>();
  #refreshedAt: Date | undefined;
  #finding: Promise<boolean> | undefined;

  constructor(table: HostTable, store: HostStore, clock: Clock, hostd: Hostd, on: HostsListeners = {}) {
    this.#table = table;
    this.#store = store;
    this.#clock = clock;
    this.#hostd = hostd;
    this.#on = on;
  }

  get(number: number): HostEntry | undefined {
    return this.#table.get(number);
  }

  /**
   * Looks up a host that has announced itself to another api.
   *
   * @throws Fault `HOST_UNREACHABLE` when the database does not answer: the host may exist
   */
  async find(number: number): Promise<HostEntry | undefined> {
    // A lookup under way may have begun before the host was stored.
    if ((await this.#finding) !== undefined && this.#table.get(number)) return this.#table.get(number);
    this.#finding ??= within(FIND_TIMEOUT_MS, "looking for a host", () => this.refresh())
      .then(
        () => true,
        () => false,
      )
      .finally(() => {
        this.#finding = undefined;
      });
    const hasAnswered = await this.#finding;
    const host = this.#table.get(number);
    if (!host && !hasAnswered) throw notKnown(number);
    return host;
  }

  /** Asks a host with a new machine to announce itself, if it is unknown. Never throws. */
  async ensureKnown(host: HostAddress): Promise<void> {
    if (this.#table.get(host.number)) return;
    try {
      const { announced } = await this.#hostd.getHost(host, { remainingMs: GET_HOST_TIMEOUT_MS });
      if (announced.number === host.number) await this.announce(announced);
    } catch (error) {
      logger.warn("a new host could not be asked to announce itself", { host: host.number, error });
    }
  }

  /** Returns whether it is in the database too. @throws Fault `HOST_NUMBER_TAKEN` */
  async announce(announced: AnnouncedHost): Promise<boolean> {
    const entry = { ...announced, lastSeenMs: this.#clock.now() };
    this.#table.announce(entry);
    this.#on.announcement?.(entry.address);
    const last = this.#stored.get(entry.number);
    if (last && isSame(last, entry) && entry.lastSeenMs - last.lastSeenMs < STORE_INTERVAL_MS) return true;
    try {
      await within(STORE_TIMEOUT_MS, "storing a host", () => this.#store.announce(entry));
      this.#stored.set(entry.number, entry);
      return true;
    } catch (error) {
      if (hasReason(error, "HOST_NUMBER_TAKEN")) {
        // It announced itself here while the database was away, which knows the owner.
        await this.refresh(true);
        throw error;
      }
      logger.warn("a host could not be stored", { host: entry.number, error });
      return false;
    }
  }

  /** @throws Fault `HOST_NUMBER_TAKEN`, `SEQUENCE_GAP`, `DATABASE_UNAVAILABLE` */
  async report(hostNumber: number, identity: string, changes: readonly HostEvent[]): Promise<bigint> {
    const applied = await this.#store.applyEvents(hostNumber, identity, changes);
    this.#on.report?.(changes.some(({ reported }) => reported.kind === "whole"));
    return applied;
  }

  /** Reads hosts that announced themselves to other apis. @param isFull not only changed ones */
  async refresh(isFull = false): Promise<void> {
    const { entries, now } = await this.#store.changedSince(isFull ? undefined : this.#refreshedAt);
    this.#refreshedAt = now;
    for (const entry of entries) this.#table.learn(entry);
  }
}

function notKnown(number: number): Fault {
  const message = `host ${number} is not known here yet, and the database, which may know it, does not answer; try again`;
  const facts = { host_number: String(number) };
  return new Fault("UNAVAILABLE", "HOST_UNREACHABLE", message, facts, { retryAfterMs: 1_000 });
}
