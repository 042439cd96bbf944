import { type Bid, type Decline, fits, type Offer, type Resources } from "../auctions/offer.ts";

/** Who a host is, as it said when it attached. */
export interface HostInfo {
  readonly number: number;
  readonly name: string;
  /** Kept on its disk: tells one host from another that claims its number. */
  readonly identity: string;
  readonly region: string;
  readonly zone: string;
  /** gRPC address of its hostd. */
  readonly address: string;
  readonly capacity: Resources;
  readonly vmm: string;
  readonly acceleration: string;
  readonly isolation: string;
  readonly vmmReason: string;
  /** What constraints may ask for. */
  readonly labels: Readonly<Record<string, string>>;
}

/** Whether a host takes machines: see windhover.scheduler.v1.Scheduling. */
export type Scheduling = "open" | "cordoned" | "draining";

/** How a host is, as it said last. */
export interface HostStatus {
  readonly held: Resources;
  readonly allocated: Resources;
  readonly running: Resources;
  /** Machines by the name of their state. */
  readonly machines: Readonly<Record<string, number>>;
  readonly load: number;
  /** Warm VMs that wait, of all shapes. */
  readonly warmVms: number;
  readonly scheduling: Scheduling;
  /** Free on the file system of its state, and what of that it keeps for the machines it has, in MB; absent when it did not say. */
  readonly diskFreeMb?: number | undefined;
  readonly diskReserveMb?: number | undefined;
}

/** What goes down a host's stream with a bid. */
export interface BidTerms {
  /** How long the host is to hold what it offers. */
  readonly holdMs: number;
  /** How long an answer is of use. */
  readonly windowMs: number;
  /** W3C traceparent of the bid; empty for none. */
  readonly traceparent: string;
}

/** The way down to a host. Never waits. */
export interface Link {
  /** Queues a bid request. False: the host does not read, or is gone. */
  ask(bid: Bid, terms: BidTerms): boolean;
  /** Queues the release of a hold. False: as above. */
  letGo(reservationId: string): boolean;
}

/** A host's answer to a bid. */
export type Answer =
  | { readonly kind: "offer"; readonly offer: Offer }
  | { readonly kind: "decline"; readonly decline: Decline };

/** Bids a host may leave unanswered. More than auctions run at once, so that only a host that answers nothing gets there. */
const MAX_AWAITED = 4_096;
/** An answer this late will not come. */
const AWAITED_MS = 30_000;
/** A host that leaves an answer out for so long is asked after the others. */
const SLUGGISH_MS = 1_000;

/** A host as one stream knows it: attached again, it is another one. */
export class AttachedHost {
  readonly info: HostInfo;
  /** When it attached, in milliseconds since the epoch. */
  readonly attachedAt: number;
  /** What it said last, if it has said how it is. */
  status: HostStatus | undefined;
  /** When it last said anything: since the epoch, for showing, and monotonic, for deciding. */
  lastSeenAt: number;
  lastSeenMs: number;
  readonly #link: Link;
  readonly #overrun: (host: AttachedHost) => void;
  readonly #awaited = new Map<string, { askedMs: number; answer: (answer: Answer) => void }>();

  /** @param overrun called when the host does not read what it is sent */
  constructor(
    info: HostInfo,
    link: Link,
    now: { at: number; ms: number },
    overrun: (host: AttachedHost) => void,
  ) {
    this.info = info;
    this.#link = link;
    this.attachedAt = now.at;
    this.lastSeenAt = now.at;
    this.lastSeenMs = now.ms;
    this.#overrun = overrun;
  }

  /**
   * Asks for an offer. `answer` is called at most once, however late, and with a decline when the host goes.
   * False: the host could not be asked.
   */
  ask(bid: Bid, terms: BidTerms, nowMs: number, answer: (answer: Answer) => void): boolean {
    this.#forgetOverdue(nowMs);
    if (this.#awaited.size >= MAX_AWAITED || this.#awaited.has(bid.reservationId)) return false;
    this.#awaited.set(bid.reservationId, { askedMs: nowMs, answer });
    if (this.#link.ask(bid, terms)) return true;
    this.#awaited.delete(bid.reservationId);
    this.#overrun(this);
    return false;
  }

  /** Passes the host's answer on to the auction that asked. A repeat, or an answer nobody asked for, is dropped. */
  answered(reservationId: string, answer: Answer): void {
    const awaited = this.#awaited.get(reservationId);
    if (!awaited) return;
    this.#awaited.delete(reservationId);
    awaited.answer(answer);
  }

  /** Tells the host to let a hold go. When the message is lost, the hold ends by time. */
  letGo(reservationId: string): void {
    if (!this.#link.letGo(reservationId)) this.#overrun(this);
  }

  /** The stream has ended: whoever waits for an answer learns that none comes. */
  lost(): void {
    const awaited = [...this.#awaited.values()];
    this.#awaited.clear();
    for (const { answer } of awaited)
      answer({ kind: "decline", decline: { reason: "lost", largest: undefined } });
  }

  /** Whether it left a bid unanswered for so long that others should be asked first. */
  isSluggish(nowMs: number): boolean {
    const oldest = this.#awaited.values().next().value;
    return oldest !== undefined && nowMs - oldest.askedMs > SLUGGISH_MS;
  }

  /** Whether it takes new machines, by what it said last. */
  get isOpen(): boolean {
    return this.status === undefined || this.status.scheduling === "open";
  }

  /** Whether it seemed to have room when it spoke last. A hint: only the host knows. */
  seemsToFit(needed: Resources): boolean {
    const { status } = this;
    if (status === undefined) return true;
    return !isShortOfDisk(status) && fits(needed, freeOf(this.info.capacity, status));
  }

  #forgetOverdue(nowMs: number): void {
    for (const [id, { askedMs }] of this.#awaited) {
      if (nowMs - askedMs <= AWAITED_MS) return;
      this.#awaited.delete(id);
    }
  }
}

/** It declines then, whatever is asked. */
function isShortOfDisk({ diskFreeMb, diskReserveMb }: HostStatus): boolean {
  return diskFreeMb !== undefined && diskReserveMb !== undefined && diskFreeMb < diskReserveMb;
}

function freeOf(capacity: Resources, { held, allocated, running }: HostStatus): Resources {
  const free = (key: keyof Resources) => capacity[key] - held[key] - Math.max(allocated[key], running[key]);
  return { cpus: free("cpus"), memoryMb: free("memoryMb"), diskMb: free("diskMb") };
}
