import type { CreateRun } from "../../src/api/creates/saga/create-run.ts";
import { type Ownership, SagaStore } from "../../src/api/creates/store/saga-store.ts";
import type { SagaWrite } from "../../src/api/creates/store/saga-write.ts";
import type { Transactions } from "../../src/api/database/gated-database.ts";
import { HostStore } from "../../src/api/hosts/host-store.ts";
import type { HostEvent } from "../../src/api/hosts/outbox.ts";
import { applyChanges } from "../../src/api/machines/apply-changes.ts";
import type { Ledger } from "../../src/hostd/capacity/ledger.ts";
import { Ids } from "../../src/hostd/machines/ids.ts";
import { Machines } from "../../src/hostd/operations/machines.ts";
import { Proxies } from "../../src/hostd/proxies/proxies.ts";
import type { Step } from "../../src/lib/saga/saga.ts";
import type { ReservationStore } from "../../src/scheduler/reservations/reservation-store.ts";
import {
  planAcquires,
  planDeathsInAwards,
  planDeathsInChanges,
  planPauses,
  planProxies,
  planRestarts,
  planRestores,
  planSuspends,
} from "./faults/plans.ts";
import type { Fleet } from "./fleet.ts";
import { GUARDS, type Guards, WatchedLedger } from "./guards.ts";
import { SavedVms } from "./services/saved.ts";
import type { Redis } from "./stores/redis.ts";
import type { Life } from "./world/world.ts";

/** A guard that is broken, and how that is found. */
export interface Broken {
  readonly guards: Guards;
  /** In so many seeds it must have been found. */
  readonly within: number;
  /** What is said then. */
  readonly finds: RegExp;
  /** What goes wrong meanwhile; absent: everything. */
  readonly plan?: (fleet: Fleet, untilMs: number) => void;
}

/** Every guard broken in turn, to show that the simulator finds out. None of this is in the program. */
export const BROKEN: Readonly<Record<string, Broken>> = {
  "a claim that looks first and writes then": {
    guards: { ...GUARDS, store: (life, redis) => claimingInTwoSteps(life, redis, redis.connect(life)) },
    within: 250,
    finds: /was granted to/,
  },
  "a reservation that is stored first and claimed then": {
    guards: { ...GUARDS, store: (life, redis) => claimingAfterwards(life, redis, redis.connect(life)) },
    within: 200,
    finds: /was granted to/,
  },
  "a host that holds for less long than Redis grants": {
    guards: { ...GUARDS, ledger: (watch) => (life, options) => new HastyLedger(life, options, watch) },
    within: 50,
    plan: planPauses,
    finds: /was granted, and host \d no longer holds it/,
  },
  "a host that takes awards of any epoch": {
    guards: { ...GUARDS, ledger: (watch) => (life, options) => new GullibleLedger(life, options, watch) },
    within: 700,
    finds: /its hold is of epoch/,
    plan: planRestarts,
  },
  "a create that leaves its machine on the host": {
    guards: {
      ...GUARDS,
      api: { ...GUARDS.api, saga: ({ name, steps }) => ({ name, steps: steps.map(unlessAward) }) },
    },
    within: 250,
    finds: /has failed, and its machine \w+ is/,
  },
  "a create that takes nothing back": {
    guards: {
      ...GUARDS,
      api: {
        ...GUARDS.api,
        saga: ({ name, steps }) => ({ name, steps: steps.map(({ undo: _, ...step }) => step) }),
      },
    },
    within: 50,
    finds: /has failed, and its machine/,
  },
  "a sweeper that destroys nothing": {
    guards: {
      ...GUARDS,
      api: { ...GUARDS.api, sweeps: (hosts) => ({ ...hosts, destroyMachine: async () => undefined }) },
    },
    within: 50,
    finds: /which nobody knows/,
    plan: planRestores,
  },
  "a create that forgets what it has left in doubt": {
    guards: {
      ...GUARDS,
      api: { ...GUARDS.api, sagaStore: (database) => new ForgetfulSagaStore(database) },
    },
    within: 50,
    finds: /has ended, and host-\d still has its machine/,
    plan: planDeathsInAwards,
  },
  "a database that applies changes whatever their sequence": {
    guards: { ...GUARDS, api: { ...GUARDS.api, hostStore: (database) => new CarelessHostStore(database) } },
    within: 50,
    finds: /were applied again/,
  },
  "an acquire that stops nothing": {
    guards: {
      ...GUARDS,
      api: { ...GUARDS.api, acquireTools: (tools) => ({ ...tools, stop: async () => {} }) },
    },
    within: 50,
    finds: /key-\d has \w+ and \w+ running/,
    plan: planAcquires,
  },
  "a host that gives ids by its clock alone": {
    guards: { ...GUARDS, host: { ...GUARDS.host, ids: () => new Ids() } },
    within: 50,
    finds: /is not later than/,
    plan: planDeathsInChanges,
  },
  "a host that lets everybody past a lease": {
    guards: { ...GUARDS, host: { ...GUARDS.host, machines: (parts) => new OpenMachines(parts) } },
    within: 50,
    finds: /without the nonce of the lease|takes effect, and \w+ holds its lease/,
  },
  "a host that updates whatever version it has": {
    guards: { ...GUARDS, host: { ...GUARDS.host, machines: (parts) => new BlindMachines(parts) } },
    within: 50,
    finds: /updateMachine for the version \w+ has changed/,
  },
  "a host that keeps the room of an update": {
    guards: { ...GUARDS, ledger: (watch) => (life, options) => new GreedyLedger(life, options, watch) },
    within: 50,
    finds: /MB allocated for/,
  },
  "a host that stops idle machines without a look at their uses": {
    guards: { ...GUARDS, host: { ...GUARDS.host, proxies: (options) => new CarelessProxies(options) } },
    within: 40,
    finds: /is (stopped|suspended) for being idle, and has a request/,
    plan: planProxies,
  },
  "a host that forgets who used its machines, and does not wait": {
    guards: {
      ...GUARDS,
      host: { ...GUARDS.host, proxies: (options) => new Proxies({ ...options, lostUseMs: 0 }) },
    },
    within: 100,
    finds: /is (stopped|suspended) for being idle, and has a request|a request meets/,
    plan: planProxies,
  },
  "a host that suspends idle machines without a look at their uses": {
    guards: { ...GUARDS, host: { ...GUARDS.host, machines: (parts) => new SleepyMachines(parts) } },
    within: 40,
    finds: /is suspended for being idle, and has a request/,
    plan: planProxies,
  },
  "a host that takes a half-written save for whole": {
    guards: { ...GUARDS, host: { ...GUARDS.host, saved: () => new HalfSavedVms() } },
    within: 100,
    finds: /lacks what it is to go on with|goes on with what was not saved whole/,
    plan: planSuspends,
  },
  "a host that does not account for what it saves": {
    guards: { ...GUARDS, ledger: (watch) => (life, options) => new ForgetfulLedger(life, options, watch) },
    within: 20,
    finds: /MB saved, and 0 MB in the ledger/,
    plan: planSuspends,
  },
  "a host that keeps what is of no use any more": {
    guards: { ...GUARDS, host: { ...GUARDS.host, saved: () => new HoardedVms() } },
    within: 20,
    finds: /saved, which no machine has/,
    plan: planSuspends,
  },
};

function unlessAward({ undo, ...step }: Step<CreateRun>): Step<CreateRun> {
  return step.name === "award" || !undo ? step : { ...step, undo };
}

function claimingInTwoSteps(life: Life, redis: Redis, store: ReservationStore): ReservationStore {
  const { reservations } = redis;
  return {
    ...store,
    async claim(id, claimant, hostNumber) {
      const [seen] = await redis.run(life, () => reservations.show([id]));
      if (!seen) return { kind: "expired" };
      if (seen.claim && seen.claim.claimant !== claimant) return { kind: "taken" };
      const offer = seen.reservation.offers.find((one) => one.hostNumber === hostNumber);
      if (!offer) return { kind: "unknown" };
      await redis.run(life, () => reservations.overwrite(id, claimant, hostNumber, offer));
      return { kind: "claimed", offer };
    },
  };
}

function claimingAfterwards(life: Life, redis: Redis, store: ReservationStore): ReservationStore {
  return {
    ...store,
    async put(reservation, claimant) {
      const put = await store.put(reservation);
      const [best] = reservation.offers;
      if (put.kind !== "stored" || !best || claimant === undefined) return put;
      const { reservations } = redis;
      const isThere = await redis.run(life, () => reservations.show([reservation.id]).length > 0);
      if (isThere)
        await redis.run(life, () => reservations.overwrite(reservation.id, claimant, best.hostNumber, best));
      return put;
    },
  };
}

class ForgetfulSagaStore extends SagaStore {
  override write(owner: Ownership, { resolveMs: _, ...write }: SagaWrite): Promise<void> {
    return super.write(owner, write);
  }
}

class HastyLedger extends WatchedLedger {
  override hold(...[id, resources, ttlMs, ...rest]: Parameters<Ledger["hold"]>): ReturnType<Ledger["hold"]> {
    return super.hold(id, resources, ttlMs / 2, ...rest);
  }
}

class GullibleLedger extends WatchedLedger {
  protected override epochOf(reservationId: string, epoch: bigint): bigint {
    return this.holds().find((hold) => hold.reservationId === reservationId)?.epoch ?? epoch;
  }
}

class GreedyLedger extends WatchedLedger {
  override unreserve(): void {}
}

class OpenMachines extends Machines {
  override guarded(...[id, org]: Parameters<Machines["guarded"]>): ReturnType<Machines["guarded"]> {
    return this.get(id, org);
  }
}

class BlindMachines extends Machines {
  override update(
    ...[id, org, request, signal]: Parameters<Machines["update"]>
  ): ReturnType<Machines["update"]> {
    return super.update(id, org, { ...request, currentVersion: "" }, signal);
  }
}

class CarelessHostStore extends HostStore {
  readonly #db: Transactions;

  constructor(db: Transactions) {
    super(db);
    this.#db = db;
  }

  override applyEvents(host: number, identity: string, events: readonly HostEvent[]): Promise<bigint> {
    return this.#db.transaction(async (tx) => {
      await tx.query({ name: "host_insert", text: "", values: [host, identity] });
      const machines = events.map(({ reported }) => reported);
      await applyChanges(tx, { machines, changes: events });
      const last = events.at(-1)?.sequence ?? 0n;
      await tx.query({ name: "host_applied", text: "", values: [host, last.toString()] });
      return last;
    });
  }
}

class ForgetfulLedger extends WatchedLedger {
  override setSaved(): void {}
}

/** Suspends a machine whether it is idle or not. */
class SleepyMachines extends Machines {
  override suspend(
    ...[id, org, why, , right]: Parameters<Machines["suspend"]>
  ): ReturnType<Machines["suspend"]> {
    return super.suspend(id, org, why, undefined, right);
  }
}

class HalfSavedVms extends SavedVms {
  protected override isComplete(): boolean {
    return true;
  }
}

class HoardedVms extends SavedVms {
  override drop(): void {}
}

/** Believes whoever says that a machine is idle. */
class CarelessProxies extends Proxies {
  override requireUnused(): void {}
}
