import type {
  HostServiceClient,
  WatchMachinesRequest,
  WatchMachinesResponse,
  WatchedMachine as WireWatched,
} from "../../../gen/windhover/hostd/v1/hostd.ts";
import { Fault } from "../../../lib/faults/fault.ts";
import { openWire, type Wire, type WireUser } from "../../../lib/grpc/wire.ts";
import { untraced } from "../../../lib/otel/untraced.ts";
import { type Backoff, backoffMs } from "../../../lib/runtime/backoff.ts";
import { describedFromProto, stateFromProto } from "../../machines/convert-machine.ts";
import type { Waiter, WatchedMachine } from "./waiter.ts";

export interface HostWatchOptions {
  /** Returns a client for the present address of the host. */
  client(): HostServiceClient;
  nowMs(): number;
  /** Converts what ends the watch to the fault that waiters get. */
  faultOf(err: unknown): unknown;
  /** Called when there were no waits for a while, or the watch must not be used any more. */
  onIdle(): void;
}

const RETRY: Backoff = { firstMs: 50, maxMs: 1_000 };
/** Time to answer with the state of a machine, which a host does at once. */
const ANSWER_LIMIT_MS = 5_000;
const IDLE_MS = 10_000;
/** Machines that one request may name. */
const MAX_NAMED = 5_000;

/**
 * Serves all waits of this api for machines of one host with one stream, which is reopened when the
 * host restarts.
 */
export class HostWatch implements WireUser<WatchMachinesResponse> {
  readonly #options: HostWatchOptions;
  readonly #waiters = new Map<string, Set<Waiter>>();
  #wire: Wire<WatchMachinesRequest> | undefined;
  #failures = 0;
  #retry: NodeJS.Timeout | undefined;
  #silence: NodeJS.Timeout | undefined;
  #idle: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: HostWatchOptions) {
    this.#options = options;
  }

  /** Adds a wait. Returns a function that removes it. */
  add(waiter: Waiter): () => void {
    const { machineId } = waiter.target;
    clearTimeout(this.#idle);
    const waiters = this.#waiters.get(machineId) ?? new Set();
    waiters.add(waiter);
    this.#waiters.set(machineId, waiters);
    if (this.#wire) this.#name(this.#wire, [machineId]);
    else if (this.#retry === undefined) this.#open();
    return () => this.#remove(waiter);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#silence);
    clearTimeout(this.#idle);
    this.#wire?.fail(new Fault("CANCELLED", "CANCELLED", "the api is shutting down"));
  }

  received({ machines }: WatchMachinesResponse): void {
    this.#failures = 0;
    clearTimeout(this.#silence);
    this.#silence = undefined;
    for (const watched of machines) {
      const waiters = this.#waiters.get(watched.id);
      if (!waiters) continue;
      const machine = watchedFromProto(watched);
      for (const waiter of [...waiters]) waiter.update(machine);
    }
  }

  drained(): void {}

  finished(): void {}

  closed(fault: Fault | undefined): void {
    clearTimeout(this.#silence);
    this.#silence = undefined;
    this.#wire = undefined;
    if (this.#isClosed || this.#waiters.size === 0) return;
    const nowMs = this.#options.nowMs();
    const cause = this.#options.faultOf(fault ?? ended());
    if (fault?.code === "UNIMPLEMENTED") {
      for (const waiter of this.#all()) waiter.fail(cause);
      return;
    }
    for (const waiter of this.#all()) waiter.lost(cause, nowMs);
    const pauseMs = backoffMs(RETRY, this.#failures++);
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      if (this.#waiters.size > 0) this.#open();
    }, pauseMs);
  }

  #open(): void {
    // Its spans belong to no call.
    untraced(() =>
      openWire<WatchMachinesRequest, WatchMachinesResponse>(
        this.#options.client(),
        this.#options.client().watchMachines,
        { timeoutMs: Number.POSITIVE_INFINITY },
        (wire) => {
          this.#wire = wire;
          return this;
        },
      ),
    );
    if (this.#wire) this.#name(this.#wire, [...this.#waiters.keys()]);
  }

  #name(wire: Wire<WatchMachinesRequest>, ids: readonly string[]): void {
    for (let at = 0; at < ids.length; at += MAX_NAMED)
      wire.send({ watchIds: ids.slice(at, at + MAX_NAMED), unwatchIds: [] });
    this.#silence ??= setTimeout(() => wire.fail(silent()), ANSWER_LIMIT_MS);
  }

  #remove(waiter: Waiter): void {
    const { machineId } = waiter.target;
    const waiters = this.#waiters.get(machineId);
    waiters?.delete(waiter);
    if (waiters?.size !== 0) return;
    this.#waiters.delete(machineId);
    this.#wire?.send({ watchIds: [], unwatchIds: [machineId] });
    if (this.#waiters.size > 0) return;
    this.#idle = setTimeout(() => {
      this.close();
      this.#options.onIdle();
    }, IDLE_MS).unref();
  }

  *#all(): Generator<Waiter> {
    for (const waiters of [...this.#waiters.values()]) yield* [...waiters];
  }
}

function watchedFromProto({ machine, reachable, rollbackInstanceId }: WireWatched): WatchedMachine {
  return {
    rollbackInstanceId,
    machine: machine && describedFromProto(machine),
    reachable: reachable.map(stateFromProto),
  };
}

function silent(): Fault {
  return new Fault("UNAVAILABLE", "PEER_UNAVAILABLE", "the host says nothing");
}

function ended(): Fault {
  return new Fault("UNAVAILABLE", "PEER_UNAVAILABLE", "the host has ended its watch");
}
