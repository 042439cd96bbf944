import type {
  WatchedMachine,
  WatchMachinesRequest,
  WatchMachinesResponse,
} from "../gen/windhover/hostd/v1/hostd.ts";
import { requireScope } from "../lib/auth/claims.ts";
import { Fault } from "../lib/faults/fault.ts";
import { serverDraining } from "../lib/grpc/draining.ts";
import { bidiWire } from "../lib/grpc/server/rpc.ts";
import type { Wire, WireUser } from "../lib/grpc/wire.ts";
import { onAbort } from "../lib/runtime/abort.ts";
import type { Clock } from "../lib/runtime/clock.ts";
import { machineToProto, stateToProto } from "./convert-machine.ts";
import { mayComeBack, reachableFrom } from "./machines/decisions/wait.ts";
import { type Machine, withNewestEvents } from "./machines/machine.ts";
import type { Store } from "./store/store.ts";

export interface WatchParts {
  readonly hostName: string;
  readonly store: Pick<Store, "get" | "subscribe">;
  readonly clock: Pick<Clock, "now">;
}

const MAX_WATCHED = 100_000;
const MAX_NAMED = 10_000;
/** Changes that wait for a peer that is behind. */
const MAX_UNSENT = 10_000;
/** In one message: below 1 MiB, since a machine without its configuration has at most some KiB. */
const BATCH = 100;

/** Serves WatchMachines. */
export function watchMachines(parts: WatchParts) {
  return bidiWire<WatchMachinesRequest, WatchMachinesResponse>((wire, ctx) => {
    requireScope(ctx, "internal");
    const draining = onAbort(ctx.draining, () => wire.fail(serverDraining("the host is shutting down")));
    return new Watch(parts, wire, () => draining[Symbol.dispose]());
  });
}

/**
 * The machines that one api watches. Changes of one turn of the event loop are sent together, after
 * the work that made them.
 */
class Watch implements WireUser<WatchMachinesRequest> {
  readonly #parts: WatchParts;
  readonly #wire: Wire<WatchMachinesResponse>;
  readonly #onClosed: () => void;
  readonly #subscriptions = new Map<string, () => void>();
  #unsent: WatchedMachine[] = [];
  #isBehind = false;
  #flush: NodeJS.Immediate | undefined;

  constructor(parts: WatchParts, wire: Wire<WatchMachinesResponse>, onClosed: () => void) {
    this.#parts = parts;
    this.#wire = wire;
    this.#onClosed = onClosed;
  }

  received({ watchIds, unwatchIds }: WatchMachinesRequest): void {
    if (watchIds.length > MAX_NAMED || this.#subscriptions.size + watchIds.length > MAX_WATCHED) {
      const facts = { limit: String(MAX_WATCHED) };
      throw new Fault("RESOURCE_EXHAUSTED", "TOO_MANY_WATCHED", "too many machines are watched", facts);
    }
    for (const id of unwatchIds) this.#unwatch(id);
    for (const id of watchIds) this.#watch(id);
  }

  drained(): void {
    this.#isBehind = false;
    this.#send();
  }

  finished(): void {
    this.#wire.end();
  }

  closed(): void {
    clearImmediate(this.#flush);
    for (const end of this.#subscriptions.values()) end();
    this.#subscriptions.clear();
    this.#onClosed();
  }

  #watch(id: string): void {
    const { store } = this.#parts;
    const machine = store.get(id);
    if (!machine) {
      this.#unwatch(id);
      this.#add({ id, machine: undefined, reachable: [], missing: true, rollbackInstanceId: "" });
      return;
    }
    if (!this.#subscriptions.has(id))
      this.#subscriptions.set(
        id,
        store.subscribe(id, (next) => this.#add(this.#toProto(next))),
      );
    this.#add(this.#toProto(machine));
  }

  #unwatch(id: string): void {
    this.#subscriptions.get(id)?.();
    this.#subscriptions.delete(id);
  }

  #add(machine: WatchedMachine): void {
    this.#unsent.push(machine);
    if (this.#unsent.length > MAX_UNSENT) {
      this.#wire.fail(new Fault("RESOURCE_EXHAUSTED", "WATCH_TOO_SLOW", "the api does not read its watch"));
      return;
    }
    this.#flush ??= setImmediate(() => {
      this.#flush = undefined;
      this.#send();
    });
  }

  #send(): void {
    while (this.#unsent.length > 0 && !this.#isBehind) {
      const machines = this.#unsent.splice(0, BATCH);
      this.#isBehind = !this.#wire.send({ machines });
    }
  }

  #toProto(machine: Machine): WatchedMachine {
    const nowMs = this.#parts.clock.now();
    return {
      id: machine.id,
      machine: machineToProto(withNewestEvents(machine, 1), this.#parts.hostName, ["config"], nowMs),
      reachable: [...reachableFrom(machine, nowMs)].map(stateToProto),
      missing: false,
      rollbackInstanceId: mayComeBack(machine) ?? "",
    };
  }
}
