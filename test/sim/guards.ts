import { SagaStore } from "../../src/api/creates/store/saga-store.ts";
import { HostStore } from "../../src/api/hosts/host-store.ts";
import { Ledger, type LedgerOptions } from "../../src/hostd/capacity/ledger.ts";
import { Ids } from "../../src/hostd/machines/ids.ts";
import { Machines } from "../../src/hostd/operations/machines.ts";
import { Proxies } from "../../src/hostd/proxies/proxies.ts";
import type { ReservationStore } from "../../src/scheduler/reservations/reservation-store.ts";
import type { ApiSurroundings } from "./services/api.ts";
import type { HostSurroundings } from "./services/host.ts";
import { SavedVms } from "./services/saved.ts";
import type { Redis } from "./stores/redis.ts";
import type { Watch } from "./watch.ts";
import { currentLife, type Life } from "./world/world.ts";

/** What keeps things from going wrong. A test of the simulator replaces one by something that does not. */
export interface Guards {
  store(life: Life, redis: Redis): ReservationStore;
  ledger(watch: Watch): (life: Life, options: LedgerOptions) => Ledger;
  readonly api: Pick<ApiSurroundings, "saga" | "hostStore" | "sagaStore" | "sweeps" | "acquireTools">;
  readonly host: Pick<HostSurroundings, "ids" | "machines" | "proxies" | "saved">;
}

/** The real ones. */
export const GUARDS: Guards = {
  store: (life, redis) => redis.connect(life),
  ledger: (watch) => (life, options) => new WatchedLedger(life, options, watch),
  api: {
    saga: (saga) => saga,
    hostStore: (database) => new HostStore(database),
    sagaStore: (database) => new SagaStore(database),
    sweeps: (hosts) => hosts,
    acquireTools: (tools) => tools,
  },
  host: {
    ids: (machines) => Ids.following(machines),
    machines: (parts) => new Machines(parts),
    proxies: (options) => new Proxies(options),
    saved: () => new SavedVms(),
  },
};

/** The real ledger, and somebody who looks on. */
export class WatchedLedger extends Ledger {
  readonly #life: Life;
  readonly #watch: Watch;
  readonly #graceMs: number;
  /** Disk of saved VMs, by machine. */
  readonly #savedMb = new Map<string, number>();

  constructor(life: Life, options: LedgerOptions, watch: Watch) {
    super(options);
    this.#life = life;
    this.#watch = watch;
    this.#graceMs = options.graceMs;
  }

  override hold(...asked: Parameters<Ledger["hold"]>): ReturnType<Ledger["hold"]> {
    const answer = super.hold(...asked);
    const [reservationId, , ttlMs] = asked;
    if (answer.kind === "held")
      this.#watch.held(this.#life, reservationId, answer.epoch, ttlMs + this.#graceMs);
    return answer;
  }

  override award(...asked: Parameters<Ledger["award"]>): ReturnType<Ledger["award"]> {
    const [reservationId, epoch, machineId, ...rest] = asked;
    const resources = super.award(reservationId, this.epochOf(reservationId, epoch), machineId, ...rest);
    this.#watch.awarded(this.#life, reservationId, epoch, machineId);
    return resources;
  }

  /** The epoch that an award is taken for: its own. */
  protected epochOf(_reservationId: string, epoch: bigint): bigint {
    return epoch;
  }

  override restore(...asked: Parameters<Ledger["restore"]>): void {
    super.restore(...asked);
    const [machineId, , { savedMb = 0 }] = asked;
    this.#savedMb.set(machineId, savedMb);
  }

  override setSaved(machineId: string, megabytes: number): void {
    super.setSaved(machineId, megabytes);
    this.#savedMb.set(machineId, megabytes);
  }

  /** The disk that a machine has for what is saved of it, in MB. */
  savedMb(machineId: string): number {
    return this.#savedMb.get(machineId) ?? 0;
  }

  override undoAward(...asked: Parameters<Ledger["undoAward"]>): void {
    super.undoAward(...asked);
    this.#watch.takenBack(this.#life, asked[0]);
  }

  override release(reservationIds: readonly string[]): void {
    super.release(reservationIds);
    // Called by the world only while its life runs.
    if (currentLife() !== this.#life) throw new Error("a ledger was touched by another life");
    for (const id of reservationIds) this.#watch.letGo(this.#life, id);
  }
}
