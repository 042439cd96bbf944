import type { HostEntry } from "../../src/api/hosts/host-table.ts";
import { DEFAULT_QUOTA } from "../../src/api/orgs/organization.ts";
import type { Guards } from "./guards.ts";
import { Histories } from "./machines/histories.ts";
import { Requests } from "./machines/requests.ts";
import { startApi } from "./services/api.ts";
import { SimHost } from "./services/host.ts";
import { SimProxy } from "./services/proxy.ts";
import { startScheduler } from "./services/scheduler.ts";
import type { Server } from "./services/streams.ts";
import { Postgres } from "./stores/postgres.ts";
import { Redis } from "./stores/redis.ts";
import { Users } from "./users/users.ts";
import { Watch } from "./watch.ts";
import { Network } from "./world/network.ts";
import { Random } from "./world/random.ts";
import { type Life, Process, type World } from "./world/world.ts";

/** By when users have made their wishes. */
const WISHES_MS = 20_000;

/** One region: everything there is in a simulation. */
export class Fleet {
  readonly world: World;
  readonly net: Network;
  readonly watch: Watch;
  readonly histories: Histories;
  readonly postgres: Postgres;
  readonly redis: Redis;
  readonly schedulers: readonly Process[];
  readonly apis: readonly Process[];
  readonly hosts: readonly SimHost[];
  readonly users: Users;
  readonly rival: Process;
  readonly requests: Requests;
  /** When the clock of Redis last jumped. */
  redisJumpedMs = Number.NEGATIVE_INFINITY;
  /** When that of Postgres did. */
  postgresJumpedMs = Number.NEGATIVE_INFINITY;
  /** When all faults ended. */
  healedMs = Number.POSITIVE_INFINITY;
  /** When creates ended, as it was stored, by their ids. */
  readonly ended = new Map<string, number>();

  constructor(world: World, guards: Guards) {
    this.world = world;
    this.net = new Network(world);
    this.watch = new Watch(world);
    this.histories = new Histories(this.watch);
    const random = new Random(world.seed, "fleet");
    this.postgres = new Postgres(new Process(world, "postgres", () => {}));
    this.redis = new Redis(new Process(world, "redis", () => {}));
    this.postgres.tables.orgs.set("acme", { standing: "good", ...DEFAULT_QUOTA });
    this.postgres.tables.apps.set("web", "acme");

    const servers = new Map<Life, Server>();
    this.schedulers = names("scheduler", random.whole(1, 2)).map((name) => {
      const version = { claims: random.chance(0.7) };
      return new Process(world, name, (life) => {
        servers.set(life, startScheduler(life, this.net, guards.store(life, this.redis), version));
      });
    });
    this.apis = names("api", random.whole(1, 2)).map((name) => {
      // On its disk, so it outlives it.
      const file = new Map<number, HostEntry>();
      return new Process(world, name, (life) => {
        const database = this.postgres.connect(life);
        const { net, schedulers } = this;
        startApi(life, { net, database, schedulers, file, hostOf: (n) => this.#hostOf(n), ...guards.api });
      });
    });
    const surroundings = {
      ...{ net: this.net, schedulers: this.schedulers, apis: this.apis, histories: this.histories },
      serverOf: (life: Life) => servers.get(life),
      ledger: guards.ledger(this.watch),
      ...guards.host,
    };
    const disks = new Random(world.seed, "disks");
    this.hosts = Array.from({ length: random.whole(2, 4) }, (_, i) => {
      const capacity = {
        ...{ cpus: random.whole(2, 6), memoryMb: 256 * random.whole(4, 12) },
        diskMb: disks.pick([4_096, 6_144, 16_384]),
      };
      return new SimHost(world, i + 1, capacity, surroundings);
    });
    this.users = new Users(world, this.net, this.apis, WISHES_MS);
    this.requests = new Requests(this.watch);
    this.rival = new Process(world, "rival", () => {});
    this.#look(random);
  }

  /** Everything starts. */
  start(): void {
    for (const process of this.world.processes) process.start();
  }

  /** Has proxies send requests to machines, too. Before everything starts. */
  useProxies(count: number, untilMs: number): readonly Process[] {
    const { world, net, hosts, requests } = this;
    for (const host of hosts) host.onChanging = (change) => requests.changing(host, change);
    return names("proxy", count).map(
      (name) => new SimProxy(world, name, { net, hosts, requests, untilMs }).process,
    );
  }

  /** Programs that can be killed and paused. */
  get programs(): readonly Process[] {
    return [...this.schedulers, ...this.apis, ...this.hosts.map((host) => host.process)];
  }

  /** All faults end: whoever is down starts, and everybody reaches everybody. */
  heal(): void {
    this.healedMs = this.world.nowMs;
    this.net.heal();
    this.postgres.isAway = false;
    this.postgres.breaks = 0;
    this.redis.isAway = false;
    this.redis.breaks = 0;
    for (const host of this.hosts) {
      host.images.isAway = false;
      host.vms.fails = 0;
      host.vms.clings = 0;
      host.vms.saveFails = 0;
      host.vms.saveDrags = 0;
      host.vms.resumeFails = 0;
      host.vms.adoptDrags = 0;
    }
    for (const process of this.world.processes) {
      process.pausedUntilMs = 0;
      process.start();
    }
  }

  close(): void {
    for (const host of this.hosts) host.disk.close();
  }

  #hostOf(number: number): Process {
    const host = this.hosts.find((each) => each.number === number);
    if (!host) throw new Error(`there is no host ${number}`);
    return host.process;
  }

  #look(random: Random): void {
    const { watch, redis, postgres } = this;
    const fleet = this;
    watch.view = {
      holder(hostNumber) {
        const now = fleet.hosts.find((host) => host.number === hostNumber)?.now;
        if (!now?.isServing) return undefined;
        const has = (id: string) =>
          now.host.ledger.holds().some((hold) => hold.reservationId === id) || watch.isAwarded(now.life, id);
        return { life: now.life, incarnation: BigInt(now.store.incarnation), has };
      },
      get redisJumpedMs() {
        return fleet.redisJumpedMs;
      },
    };
    redis.reservations.onClaimed = (...claim) => watch.claimed(...claim);
    redis.reservations.onStored = (reservation) => {
      watch.stored(reservation);
      if (random.chance(0.1))
        this.#contest(reservation.id, reservation.offers[0]?.hostNumber, random.between(0, 3));
    };
    postgres.onCommitted = ({ name, values = [] }) => {
      if (name === "host_applied") watch.applied(Number(values[0]), BigInt(String(values[1])));
      if (name === "saga_write") this.#isStored(String(values[0]), String(values[4]));
    };
  }

  #isStored(createId: string, status: string): void {
    // Only its owner's writes count.
    if (this.postgres.tables.sagas.get(createId)?.status !== status) return;
    if (status !== "done" && status !== "failed") return;
    this.ended.set(createId, this.world.nowMs);
    if (status === "failed") this.#isTakenBack(createId);
  }

  /** A create that is said to be taken back has left nothing on the host that had said yes. One that has not answered may still get the award. */
  #isTakenBack(createId: string): void {
    const attempts = this.postgres.tables.sagas.get(createId)?.state.attempts ?? [];
    for (const { machineId, offer, outcome } of attempts) {
      const host = this.hosts.find(({ number }) => number === offer.hostNumber);
      const state = host?.now?.store.get(machineId)?.state;
      if (outcome === "placed" && state !== undefined && state !== "destroying" && state !== "destroyed")
        this.watch.violated(`create ${createId} has failed, and its machine ${machineId} is ${state}`);
    }
  }

  /** Somebody else claims the same reservation. Only one of the two can have it. */
  #contest(id: string, host: number | undefined, ms: number): void {
    const { life } = this.rival;
    if (!life || host === undefined) return;
    this.world.after(life, ms, () => {
      const scheduler = new Random(this.world.seed, id).pick(this.schedulers);
      const claim = { id, claimant: "rival", host };
      this.net.call(scheduler, "claim", claim, { timeoutMs: 1_000 }).catch(() => undefined);
    });
  }
}

function names(what: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `${what}-${i + 1}`);
}
