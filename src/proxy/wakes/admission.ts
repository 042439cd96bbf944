import type { Hosts } from "../hosts/hosts.ts";
import { type Choice, choose } from "../machines/choice.ts";
import type { Loads } from "../machines/loads.ts";
import type { ProxyError } from "../proxy-error.ts";
import type { Ask, Place, Target } from "../route.ts";
import type { PortPool } from "../routes/port-pool.ts";
import type { RouteTable } from "../routes/route-table.ts";
import type { Timers } from "../timers.ts";
import type { FleetView } from "./fleet-view.ts";
import type { Hold, Places } from "./places.ts";
import type { Starts } from "./starts.ts";
import { WaitQueue } from "./wait-queue.ts";
import { WAITING_LIMITS, type WaitingLimits, WaitingRoom } from "./waiting-room.ts";
import { autostartOff, noMachine, queueFull, waitedTooLong, wakeFailed } from "./wake-error.ts";
import { wakeOf } from "./wake-times.ts";

/** Told how choices end, for metrics. */
export interface AdmissionObserver {
  chosen(outcome: Choice["kind"] | "queued"): void;
}

export interface AdmissionParts {
  readonly table: RouteTable;
  readonly hosts: Hosts;
  readonly starts: Starts;
  readonly fleet: FleetView;
  readonly loads: Loads;
  readonly places: Places;
  readonly timers: Timers;
  readonly observer: AdmissionObserver;
  /** Default {@link WAITING_LIMITS}. */
  readonly limits?: WaitingLimits;
  random(): number;
}

/** A request on its way to a place. */
interface Arrival {
  readonly target: Target;
  readonly ask: Ask;
  readonly signal: AbortSignal;
  readonly enteredMs: number;
  /** Whether it has waited. */
  hasWaited: boolean;
}

/** Gives requests places at machines; lets them wait, and starts machines, when there are none. */
export class Admission {
  readonly #parts: AdmissionParts;
  readonly #room: WaitingRoom;
  /** By app, then by port of the guest. */
  readonly #queues = new Map<string, Map<number, WaitQueue>>();

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
    this.#room = new WaitingRoom(parts.limits ?? WAITING_LIMITS);
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#room.total;
  }

  /** See Router.admit. */
  async admit(target: Target, ask: Ask, signal: AbortSignal): Promise<Place> {
    signal.throwIfAborted();
    const { timers } = this.#parts;
    const arrival: Arrival = { target, ask, signal, enteredMs: timers.now(), hasWaited: false };
    for (;;) {
      const hold = this.#holdNow(arrival) ?? (await this.#wait(arrival));
      const place = await this.#take(hold, arrival);
      if (place) return place;
      arrival.hasWaited = true;
    }
  }

  /** Looks again for the requests that wait for an app. */
  poke(app: string): void {
    for (const queue of this.#queues.get(app)?.values() ?? []) queue.poke();
  }

  /** Counts the place at once, so that the next choice knows of it. */
  #holdNow({ target, ask }: Arrival): Hold | undefined {
    if (this.#queue(target)?.hasPlain) return undefined;
    const pool = this.#pool(target);
    const choice = this.#choose(pool, ask, this.#queue(target)?.size ?? 0);
    if (choice.kind !== "none" && choice.wake !== undefined) {
      const traceparent = choice.kind === "wait" ? ask.waits?.() : undefined;
      this.#parts.starts.begin(choice.wake, traceparent ?? ask.traceparent);
    }
    this.#parts.observer.chosen(choice.kind);
    if (choice.kind === "none") throw this.#refusal(pool, choice.why);
    if (choice.kind === "wait") return undefined;
    return this.#hold(pool, choice.id);
  }

  #wait(arrival: Arrival): Promise<Hold> {
    const { target, ask, signal } = arrival;
    const { app, org, service } = target;
    const queue = this.#queue(target) ?? this.#newQueue(target);
    if (!this.#room.enter(org, queue.size)) {
      this.#dropEmpty(target);
      throw queueFull(app);
    }
    arrival.hasWaited = true;
    this.#parts.observer.chosen("queued");
    const { promise, resolve, reject } = Promise.withResolvers<Hold>();
    const waitedMs = () => this.#parts.timers.now() - arrival.enteredMs;
    const settle = () => {
      this.#room.leave(org);
      signal.removeEventListener("abort", leave);
      this.#dropEmpty(target);
    };
    const fail = (error: ProxyError) => {
      settle();
      reject(error);
    };
    const remove = queue.add(
      {
        isSpecial: isSpecial(ask),
        traceparent: ask.waits?.() ?? ask.traceparent,
        choose: (waiting, pace) => {
          const pool = this.#parts.table.pool(app, target.port);
          return pool ? this.#choose(pool, ask, waiting, pace) : { kind: "none", why: "no_machine" };
        },
        placed: (machineId) => {
          const hold = this.#hold(this.#pool(target), machineId);
          settle();
          resolve(hold);
        },
        refused: (why) => fail(this.#refusal(this.#parts.table.pool(app, target.port), why, target)),
        overdue: (why) => fail(waitedTooLong(app, why, waitedMs())),
      },
      Math.max(0, service.wakeTimeoutMs - waitedMs()),
    );
    const leave = () => {
      remove();
      settle();
      reject(signal.reason);
    };
    signal.addEventListener("abort", leave, { once: true });
    return promise;
  }

  /** Waits until the host knows of the use. @returns undefined when the machine takes no requests any more */
  async #take(hold: Hold, { signal, enteredMs, hasWaited }: Arrival): Promise<Place | undefined> {
    const { places, fleet, starts, timers } = this.#parts;
    try {
      await places.known(hold, signal);
      signal.throwIfAborted();
    } catch (error) {
      hold.free();
      throw error;
    }
    const view = fleet.placeOf(hold.member);
    if (!view) {
      hold.free();
      return undefined;
    }
    const start = starts.lastOf(hold.member.machine.id);
    const isWoken = hasWaited && start?.readyMs !== undefined && start.readyMs >= enteredMs;
    return places.place(hold, view, isWoken ? wakeOf(start, enteredMs, timers.now()) : undefined);
  }

  #hold({ members }: PortPool, machineId: string): Hold {
    const member = members.find(({ machine }) => machine.id === machineId);
    // A choice names a member.
    if (!member) throw new Error(`machine ${machineId} is not in its pool`);
    return this.#parts.places.hold(member);
  }

  #choose(pool: PortPool, ask: Ask, waiting: number, pace?: ReadonlyMap<string, number>): Choice {
    const { fleet, hosts, random } = this.#parts;
    const around = { waiting, random, rankOf: (region: string) => hosts.rankOf(region) };
    return choose(fleet.candidates(pool, pace), ask, around);
  }

  #pool({ app, port }: Target): PortPool {
    const pool = this.#parts.table.pool(app, port);
    if (!pool) throw noMachine(app, port);
    return pool;
  }

  #refusal(
    pool: PortPool | undefined,
    why: "no_machine" | "autostart_off" | "failed",
    target?: Target,
  ): ProxyError {
    const { app = "", port = 0 } = pool?.target ?? target ?? {};
    if (why === "autostart_off") return autostartOff(app);
    if (why === "no_machine" || !pool) return noMachine(app, port);
    const failures = pool.members.flatMap(({ machine }) => this.#parts.starts.failureOf(machine.id) ?? []);
    const last = failures.reduce<(typeof failures)[number] | undefined>(
      (latest, each) => (!latest || each.untilMs > latest.untilMs ? each : latest),
      undefined,
    );
    return wakeFailed(app, last?.fault);
  }

  #queue({ app, service }: Target): WaitQueue | undefined {
    return this.#queues.get(app)?.get(service.internalPort);
  }

  #newQueue(target: Target): WaitQueue {
    const { app, port, service } = target;
    const { table, fleet, starts, timers } = this.#parts;
    const queue = new WaitQueue({
      timers,
      wake: (machineId, traceparent) => starts.begin(machineId, traceparent),
      open: () => {
        const pool = table.pool(app, port);
        return pool ? fleet.candidates(pool).filter(({ readiness }) => readiness === "open") : [];
      },
    });
    const queues = this.#queues.get(app) ?? new Map<number, WaitQueue>();
    this.#queues.set(app, queues.set(service.internalPort, queue));
    return queue;
  }

  #dropEmpty(target: Target): void {
    const queues = this.#queues.get(target.app);
    if (queues?.get(target.service.internalPort)?.size !== 0) return;
    queues.delete(target.service.internalPort);
    if (queues.size === 0) this.#queues.delete(target.app);
  }
}

/** Whether a request may not go where any other may. */
function isSpecial({
  exclude,
  avoid,
  forceInstance,
  preferInstance,
  forceRegions,
  preferRegions,
}: Ask): boolean {
  const wishes = [forceInstance, preferInstance, forceRegions, preferRegions];
  return exclude.size > 0 || avoid.size > 0 || wishes.some((wish) => wish !== undefined);
}
