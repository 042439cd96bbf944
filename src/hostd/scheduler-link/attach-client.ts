import { SchedulerServiceClient } from "../../gen/windhover/scheduler/v1/scheduler.ts";
import type { TokenSource } from "../../lib/auth/tokens.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { connect } from "../../lib/grpc/client.ts";
import { openWire } from "../../lib/grpc/wire.ts";
import { type Backoff, backoffMs } from "../../lib/runtime/backoff.ts";
import { type Logger, logger } from "../../lib/runtime/log.ts";
import { sleep } from "../../lib/runtime/wait.ts";
import { SchedulerStream, type StreamHost } from "./stream-client.ts";

export interface AttachOptions extends StreamHost {
  /** gRPC addresses of all scheduler replicas of the region. */
  readonly addresses: readonly string[];
  /** Makes tokens with the scope `internal`. */
  readonly token: TokenSource;
  readonly signal: AbortSignal;
}

export interface ReplicaState {
  readonly address: string;
  readonly attached: boolean;
  /** Time of the last change, in milliseconds since the epoch. */
  readonly since: number;
  /** Reason of the fault that ended the last stream. */
  readonly reason: string | undefined;
}

export interface Attachment {
  replicas(): readonly ReplicaState[];
  statusChanged(): void;
  /** Resolves when all streams have ended after an abort. */
  readonly done: Promise<void>;
}

/**
 * From connecting to the scheduler's welcome. grpc-js itself waits for ever for a peer that accepts and sends nothing (grpc-node
 * 2785, seen with 1.14.7).
 */
const WELCOME_TIMEOUT_MS = 5_000;
const REATTACH: Backoff = { firstMs: 100, maxMs: 2_000 };

/** Keeps the host attached to every scheduler replica, one stream each, until the signal aborts. */
export function attachToSchedulers(options: AttachOptions): Attachment {
  const replicas = options.addresses.map((address) => new Replica(address, options));
  const runs = replicas.map((replica) => replica.run());
  return {
    replicas: () => replicas.map((replica) => replica.state),
    statusChanged: () => {
      for (const replica of replicas) replica.sendStatus();
    },
    done: Promise.all(runs).then(() => {}),
  };
}

class Replica {
  state: ReplicaState;
  readonly #address: string;
  readonly #options: AttachOptions;
  readonly #log: Logger;
  #failures = 0;
  #stream: SchedulerStream | undefined;

  constructor(address: string, options: AttachOptions) {
    this.#address = address;
    this.#options = options;
    this.#log = logger.with({ scheduler: address });
    this.state = { address, attached: false, since: Date.now(), reason: undefined };
  }

  sendStatus(): void {
    this.#stream?.sendStatus();
  }

  async run(): Promise<void> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      await this.#attach();
      await sleep(backoffMs(REATTACH, this.#failures++), signal);
    }
  }

  /** Opens one stream and waits for its end. Never throws. */
  async #attach(): Promise<void> {
    const attempt = new AbortController();
    const signal = AbortSignal.any([attempt.signal, this.#options.signal]);
    const timer = setTimeout(() => attempt.abort(noWelcome(this.#address)), WELCOME_TIMEOUT_MS);
    const client = connect(SchedulerServiceClient, this.#address, {
      token: this.#options.token,
      ownConnection: true,
    });
    try {
      this.#ended(await this.#untilClosed(client, signal, () => clearTimeout(timer)));
    } catch (err) {
      this.#ended(err);
    } finally {
      clearTimeout(timer);
      attempt.abort();
      client.close();
    }
  }

  /** Opens the stream. Resolves with the fault that ended it. */
  #untilClosed(
    client: SchedulerServiceClient,
    signal: AbortSignal,
    onWelcome: () => void,
  ): Promise<Fault | undefined> {
    return new Promise((resolve) => {
      openWire(client, client.attach, { timeoutMs: Number.POSITIVE_INFINITY, signal }, (wire) => {
        const welcomed = (scheduler: string) => {
          onWelcome();
          this.#welcomed(stream, scheduler);
        };
        const stream = new SchedulerStream(wire, this.#options, { welcomed, closed: resolve }, signal);
        return stream;
      });
    });
  }

  #welcomed(stream: SchedulerStream, scheduler: string): void {
    this.#stream = stream;
    this.#failures = 0;
    this.state = { address: this.#address, attached: true, since: Date.now(), reason: undefined };
    this.#log.info("attached to a scheduler", { replica: scheduler });
  }

  #ended(err: unknown): void {
    this.#stream = undefined;
    const before = this.state;
    const reason = err instanceof Fault ? err.reason : err === undefined ? undefined : "INTERNAL";
    const since = before.attached ? Date.now() : before.since;
    this.state = { address: this.#address, attached: false, since, reason };
    if (this.#options.signal.aborted) return;
    // Once per change, because attempts go on every two seconds.
    if (before.attached) this.#log.warn("the stream of a scheduler has ended", { reason, error: err });
    else if (before.reason !== reason) this.#log.warn("cannot attach to a scheduler", { reason, error: err });
  }
}

function noWelcome(address: string): Fault {
  const message = `the scheduler at ${address} has not answered within ${WELCOME_TIMEOUT_MS} ms`;
  const facts = { address, timeout_ms: String(WELCOME_TIMEOUT_MS) };
  return new Fault("DEADLINE_EXCEEDED", "NO_WELCOME", message, facts);
}
