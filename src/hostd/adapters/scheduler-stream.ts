import { context } from "@opentelemetry/api";
import { suppressTracing } from "@opentelemetry/core";
import {
  type AttachRequest,
  type AttachResponse,
  type Hello,
  SchedulerServiceClient,
  Status,
} from "../../gen/windhover/scheduler/v1/scheduler.ts";
import { connect, type Duplex, openDuplex } from "../../lib/client.ts";
import { Fault } from "../../lib/fault.ts";
import { every } from "../../lib/lifecycle.ts";
import type { Logger } from "../../lib/log.ts";
import type { TokenSource } from "../../lib/tokens.ts";
import { sleep } from "../../lib/wait.ts";
import { type AskedBid, answerBid, type BidAnswer } from "./scheduler-bids.ts";

export type { Amounts, AskedBid, BidAnswer } from "./scheduler-bids.ts";

/** What {@link attachToSchedulers} needs of its host. */
export interface AttachOptions {
  /** gRPC addresses of all scheduler replicas of the region. */
  readonly addresses: readonly string[];
  /** Who this host is. Asked each time it attaches. */
  readonly hello: () => Hello;
  /** How it is. Asked every second. */
  readonly status: () => Status;
  /** Answers a bid. Synchronous, and from memory: an auction waits for it. Holds what it offers; a repeat gets the same hold. */
  readonly bid: (asked: AskedBid) => BidAnswer;
  /** Lets the holds of these reservations go; those it does not have are none of its business. */
  readonly release: (reservationIds: readonly string[]) => void;
  /** Hints of the images that are local, in a fixed order: see LocalImages. Asked every second. Default: schedulers are not told. */
  readonly images?: () => readonly number[];
  /** A token with the scope `internal`. */
  readonly token: TokenSource;
  readonly logger: Logger;
  /** Detaches from all when it aborts. */
  readonly signal: AbortSignal;
}

/** How the host stands with one scheduler replica. */
export interface ReplicaState {
  readonly address: string;
  readonly attached: boolean;
  /** Since when, in milliseconds since the epoch. */
  readonly since: number;
  /** Reason of the fault that ended the last attempt. */
  readonly reason: string | undefined;
}

/** The host's streams to the schedulers. */
export interface Attachment {
  /** How it stands with each replica. */
  replicas(): readonly ReplicaState[];
  /** The status has changed in a way that schedulers must not learn of a second later. */
  statusChanged(): void;
  /** Resolves when all streams have ended, after the signal has aborted. */
  readonly done: Promise<void>;
}

/**
 * From connecting to the scheduler's welcome. Also ends attempts that would never end by themselves: grpc-js waits for ever
 * for a peer that accepts and says nothing (grpc-node 2785, seen with 1.14.7), and each attempt has a connection of its own.
 */
const WELCOME_MS = 5_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;
/** How often the status is looked at, and how often it is sent when nothing has changed. */
const STATUS_MS = 1_000;
const UNCHANGED_STATUS_MS = 5_000;

/** Keeps the host attached to every scheduler replica, one stream each, until the signal aborts. Does not wait for any. */
export function attachToSchedulers(options: AttachOptions): Attachment {
  const replicas = options.addresses.map((address) => new Replica(address, options));
  // The stream as such belongs to no trace; what goes on in it does, and says so itself.
  const quiet = suppressTracing(context.active());
  const runs = replicas.map((replica) => context.with(quiet, () => replica.run()));
  return {
    replicas: () => replicas.map((replica) => replica.state),
    statusChanged: () => {
      for (const replica of replicas) replica.tellNow();
    },
    done: Promise.all(runs).then(() => {}),
  };
}

/** Decides when a status is worth a message: when it differs from the last one sent, and when that was a while ago. */
export class StatusPace {
  #last: Uint8Array = new Uint8Array();
  #sentMs = Number.NEGATIVE_INFINITY;

  /** Asked once per {@link STATUS_MS}; a yes counts as sent. */
  isDue(status: Status, nowMs: number): boolean {
    // A load that differs by less than a hundredth is the same.
    const bytes = Status.encode({ ...status, load: Math.round(status.load * 100) / 100 }).finish();
    // Half a step of tolerance: a timer that is a little early must not cost a whole one.
    const isOld = nowMs - this.#sentMs >= UNCHANGED_STATUS_MS - STATUS_MS / 2;
    if (!isOld && Buffer.compare(bytes, this.#last) === 0) return false;
    this.#last = bytes;
    this.#sentMs = nowMs;
    return true;
  }
}

/** Which images a stream has told of: decides whether there is news. */
class ImageNews {
  #told: readonly number[] = [];

  /** Whether the images differ from those of the last time; a yes counts as told. */
  isDue(hints: readonly number[]): boolean {
    const told = this.#told;
    this.#told = hints;
    return told !== hints && (told.length !== hints.length || hints.some((hint, i) => hint !== told[i]));
  }
}

/** The host's side of the stream to one replica. */
class Replica {
  state: ReplicaState;
  readonly #address: string;
  readonly #options: AttachOptions;
  readonly #log: Logger;
  #failures = 0;
  /** Sends the status, while there is a stream. */
  #tell: (() => Promise<void>) | undefined;

  constructor(address: string, options: AttachOptions) {
    this.#address = address;
    this.#options = options;
    this.#log = options.logger.with({ scheduler: address });
    this.state = { address, attached: false, since: Date.now(), reason: undefined };
  }

  /** Sends the status now, if it has changed. */
  tellNow(): void {
    void this.#tell?.();
  }

  /** Attaches again and again. */
  async run(): Promise<void> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      await this.#attempt();
      const pause = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures++, LONGEST_PAUSE_MS);
      // Half of it by chance: after a scheduler's restart not all hosts are to come at once.
      await sleep(pause * (0.5 + Math.random() / 2), signal);
    }
  }

  /** One stream, from connecting to its end; never throws. */
  async #attempt(): Promise<void> {
    const attempt = new AbortController();
    const signal = AbortSignal.any([attempt.signal, this.#options.signal]);
    const overdue = setTimeout(() => attempt.abort(noWelcome(this.#address)), WELCOME_MS);
    const client = connect(SchedulerServiceClient, this.#address, {
      token: this.#options.token,
      ownConnection: true,
    });
    try {
      const stream = openDuplex(client, client.attach, { timeoutMs: Number.POSITIVE_INFINITY, signal });
      // Not awaited: it is sent when the connection is there, and how that fails is seen below.
      stream.write({ message: { $case: "hello", value: this.#options.hello() } }).catch(ignore);
      for await (const { message } of stream.messages) {
        if (message?.$case === "welcome") {
          clearTimeout(overdue);
          this.#welcomed(message.value.scheduler);
          void this.#tellStatus(stream, signal);
        } else {
          await this.#heard(message, stream);
        }
      }
      this.#ended(undefined);
    } catch (err) {
      this.#ended(err);
    } finally {
      clearTimeout(overdue);
      attempt.abort();
      client.close();
    }
  }

  async #heard(
    message: AttachResponse["message"],
    stream: Duplex<AttachRequest, AttachResponse>,
  ): Promise<void> {
    if (message?.$case === "bidRequest") {
      // Waits while the scheduler does not read: then it need not ask more either.
      await stream.write(answerBid(message.value, this.#options.bid));
    } else if (message?.$case === "holdRelease") {
      try {
        this.#options.release(message.value.reservationIds);
      } catch (error) {
        this.#log.error("holds could not be released", { error });
      }
    }
  }

  /** Sends the status from time to time, which also keeps the host from being forgotten, and which images it has. */
  async #tellStatus(stream: Duplex<AttachRequest, AttachResponse>, signal: AbortSignal): Promise<void> {
    const pace = new StatusPace();
    const tell = async (): Promise<void> => {
      const status = this.#options.status();
      if (!pace.isDue(status, performance.now())) return;
      // A write fails only with its stream, whose end is seen where it is read.
      await stream.write({ message: { $case: "status", value: status } }).catch(ignore);
    };
    this.#tell = tell;
    const news = new ImageNews();
    const tellAll = async (): Promise<void> => {
      await tell();
      const hints = this.#options.images?.() ?? [];
      if (!news.isDue(hints)) return;
      await stream.write({ message: { $case: "localImages", value: { hints: [...hints] } } }).catch(ignore);
    };
    await every(STATUS_MS, 0, tellAll, signal, { name: "tell the scheduler our status", log: this.#log });
  }

  #welcomed(scheduler: string): void {
    this.#failures = 0;
    this.state = { address: this.#address, attached: true, since: Date.now(), reason: undefined };
    this.#log.info("attached to a scheduler", { replica: scheduler });
  }

  #ended(err: unknown): void {
    this.#tell = undefined;
    const before = this.state;
    const reason = err instanceof Fault ? err.reason : err === undefined ? undefined : "INTERNAL";
    const since = before.attached ? Date.now() : before.since;
    this.state = { address: this.#address, attached: false, since, reason };
    if (this.#options.signal.aborted) return;
    // Once per change: it is tried again every two seconds for as long as it takes.
    if (before.attached) this.#log.warn("a scheduler's stream has ended", { reason, error: err });
    else if (before.reason !== reason) this.#log.warn("cannot attach to a scheduler", { reason, error: err });
  }
}

function noWelcome(address: string): Fault {
  const message = `the scheduler at ${address} has not answered within ${WELCOME_MS} ms`;
  return new Fault("DEADLINE_EXCEEDED", "NO_WELCOME", message, { address, timeout_ms: String(WELCOME_MS) });
}

function ignore(): void {}
