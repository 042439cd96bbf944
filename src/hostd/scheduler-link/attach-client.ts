import { context } from "@opentelemetry/api";
import { suppressTracing } from "@opentelemetry/core";
import {
  type HostInfo,
  SchedulerServiceClient,
  type Status,
} from "../../gen/windhover/scheduler/v1/scheduler.ts";
import type { TokenSource } from "../../lib/auth/tokens.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { connect } from "../../lib/grpc/client.ts";
import { openWire } from "../../lib/grpc/wire.ts";
import { type Backoff, backoffMs } from "../../lib/runtime/backoff.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import { sleep } from "../../lib/runtime/wait.ts";
import type { AskedBid, BidAnswer } from "./convert-bid.ts";
import { Conversation } from "./stream-client.ts";

export type { Amounts, AskedBid, BidAnswer } from "./convert-bid.ts";

/** What {@link attachToSchedulers} needs of its host. */
export interface AttachOptions {
  /** gRPC addresses of all scheduler replicas of the region. */
  readonly addresses: readonly string[];
  /** Who this host is. Asked each time it attaches. */
  readonly hello: () => HostInfo;
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
const REATTACH: Backoff = { firstMs: 100, maxMs: 2_000 };

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

/** The host's side of the stream to one replica. */
class Replica {
  state: ReplicaState;
  readonly #address: string;
  readonly #options: AttachOptions;
  readonly #log: Logger;
  #failures = 0;
  #conversation: Conversation | undefined;

  constructor(address: string, options: AttachOptions) {
    this.#address = address;
    this.#options = options;
    this.#log = options.logger.with({ scheduler: address });
    this.state = { address, attached: false, since: Date.now(), reason: undefined };
  }

  /** Sends the status now, if it has changed. */
  tellNow(): void {
    this.#conversation?.tellStatus();
  }

  /** Attaches again and again. */
  async run(): Promise<void> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      await this.#attempt();
      await sleep(backoffMs(REATTACH, this.#failures++), signal);
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
      const fault = await this.#converse(client, signal, () => clearTimeout(overdue));
      this.#ended(fault);
    } catch (err) {
      this.#ended(err);
    } finally {
      clearTimeout(overdue);
      attempt.abort();
      client.close();
    }
  }

  /** Resolves with what ended the stream. */
  #converse(
    client: SchedulerServiceClient,
    signal: AbortSignal,
    welcomed: () => void,
  ): Promise<Fault | undefined> {
    return new Promise((resolve) => {
      openWire(client, client.attach, { timeoutMs: Number.POSITIVE_INFINITY, signal }, (wire) => {
        const conversation = new Conversation(wire, {
          ...this.#options,
          logger: this.#log,
          signal,
          welcomed: (scheduler) => {
            welcomed();
            this.#conversation = conversation;
            this.#welcomed(scheduler);
          },
          closed: resolve,
        });
        return conversation;
      });
    });
  }

  #welcomed(scheduler: string): void {
    this.#failures = 0;
    this.state = { address: this.#address, attached: true, since: Date.now(), reason: undefined };
    this.#log.info("attached to a scheduler", { replica: scheduler });
  }

  #ended(err: unknown): void {
    this.#conversation = undefined;
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
