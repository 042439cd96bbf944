import type { Fault } from "../../lib/faults/fault.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import {
  type Answer,
  type Bid,
  type BidTerms,
  DISCONNECTED,
  fits,
  type Resources,
} from "../auctions/offer.ts";

/** What does not change about a host while it is attached. */
export interface HostInfo {
  readonly number: number;
  readonly name: string;
  /** Kept on its disk. Distinguishes hosts that use the same number. */
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
  readonly labels: Readonly<Record<string, string>>;
}

/** Whether a host takes machines: see windhover.scheduler.v1.Scheduling. */
export type Scheduling = "open" | "cordoned" | "draining";

export interface HostStatus {
  readonly held: Resources;
  readonly allocated: Resources;
  readonly running: Resources;
  readonly machines: Readonly<Record<string, number>>;
  readonly load: number;
  /** Warm VMs of all shapes. */
  readonly warmVms: number;
  readonly scheduling: Scheduling;
  /** Free MB on the file system of its state, if known. */
  readonly diskFreeMb?: number | undefined;
  /** MB of that file system kept for existing machines. */
  readonly diskReserveMb?: number | undefined;
  /** Seconds for which no api has taken the first change of its outbox; undefined: none has failed. */
  readonly outboxStalledS?: bigint | undefined;
  /** Changes that the database does not have yet. */
  readonly outboxEvents?: bigint | undefined;
}

/**
 * The stream of an attached host. Sending never waits, and returns false when the host does not read
 * or is gone.
 */
export interface HostStream {
  sendBid(bid: Bid, terms: BidTerms): boolean;
  sendRelease(reservationId: string): boolean;
  /** Ends the stream with a fault. Called at most once. */
  end(fault: Fault): void;
}

/** Bids that may be unanswered: more than auctions run at once, so only a silent host gets there. */
const MAX_UNANSWERED = 4_096;
/** An unanswered bid is forgotten after this time. */
const UNANSWERED_LIMIT_MS = 30_000;
/** A host with an older unanswered bid is asked after the others. */
const SLOW_ANSWER_MS = 1_000;

/** A host for the time of one stream. */
export class AttachedHost {
  readonly info: HostInfo;
  readonly stream: HostStream;
  /** In milliseconds since the epoch. */
  readonly attachedAt: number;
  status: HostStatus | undefined;
  /** Time of the last message since the epoch, to be shown, and monotonic, for decisions. */
  lastSeenAt: number;
  lastSeenMs: number;
  readonly #clock: Clock;
  readonly #onOverflow: (host: AttachedHost) => void;
  readonly #unanswered = new Map<string, { sentMs: number; onAnswer: (answer: Answer) => void }>();

  /** @param onOverflow called when the host does not read its messages */
  constructor(info: HostInfo, stream: HostStream, clock: Clock, onOverflow: (host: AttachedHost) => void) {
    this.info = info;
    this.stream = stream;
    this.#clock = clock;
    this.#onOverflow = onOverflow;
    this.attachedAt = this.lastSeenAt = clock.now();
    this.lastSeenMs = clock.monotonicMs();
  }

  /** Records that the host has sent a message, and the status in it if it is one. */
  seen(status?: HostStatus): void {
    this.lastSeenAt = this.#clock.now();
    this.lastSeenMs = this.#clock.monotonicMs();
    if (status) this.status = status;
  }

  /** Sends a bid request; see `Bidder.sendBid`. A host that detaches answers with a decline. */
  sendBid(bid: Bid, terms: BidTerms, onAnswer: (answer: Answer) => void): boolean {
    const nowMs = this.#clock.monotonicMs();
    this.#forgetOld(nowMs);
    if (this.#unanswered.size >= MAX_UNANSWERED || this.#unanswered.has(bid.reservationId)) return false;
    this.#unanswered.set(bid.reservationId, { sentMs: nowMs, onAnswer });
    if (this.stream.sendBid(bid, terms)) return true;
    this.#unanswered.delete(bid.reservationId);
    this.#onOverflow(this);
    return false;
  }

  /** Passes an answer to the auction that asked. Drops repeats, and answers without a bid. */
  receiveAnswer(reservationId: string, answer: Answer): void {
    const bid = this.#unanswered.get(reservationId);
    if (!bid) return;
    this.#unanswered.delete(reservationId);
    bid.onAnswer(answer);
  }

  /** Sends the release of a hold. When the message gets lost, the hold ends by time. */
  release(reservationId: string): void {
    if (!this.stream.sendRelease(reservationId)) this.#onOverflow(this);
  }

  /** Answers all bids with a decline, because the stream has ended. */
  disconnected(): void {
    const unanswered = [...this.#unanswered.values()];
    this.#unanswered.clear();
    for (const { onAnswer } of unanswered) onAnswer(DISCONNECTED);
  }

  /** Whether it answers so slowly that others are asked first. */
  isSlow(nowMs: number): boolean {
    const oldest = this.#unanswered.values().next().value;
    return oldest !== undefined && nowMs - oldest.sentMs > SLOW_ANSWER_MS;
  }

  /** Whether it takes new machines, by its last status. */
  get isOpen(): boolean {
    return this.status === undefined || this.status.scheduling === "open";
  }

  /** Whether it had room at its last status. */
  seemsToFit(needed: Resources): boolean {
    const { status } = this;
    if (status === undefined) return true;
    return !isShortOfDisk(status) && fits(needed, freeOf(this.info.capacity, status));
  }

  #forgetOld(nowMs: number): void {
    for (const [id, { sentMs }] of this.#unanswered) {
      if (nowMs - sentMs <= UNANSWERED_LIMIT_MS) return;
      this.#unanswered.delete(id);
    }
  }
}

/** Whether the host declines every bid for lack of disk. */
function isShortOfDisk({ diskFreeMb, diskReserveMb }: HostStatus): boolean {
  return diskFreeMb !== undefined && diskReserveMb !== undefined && diskFreeMb < diskReserveMb;
}

function freeOf(capacity: Resources, { held, allocated, running }: HostStatus): Resources {
  const free = (key: keyof Resources) => capacity[key] - held[key] - Math.max(allocated[key], running[key]);
  return { cpus: free("cpus"), memoryMb: free("memoryMb"), diskMb: free("diskMb") };
}
