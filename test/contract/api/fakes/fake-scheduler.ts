import { type Offer, Scheduling } from "../../../../src/gen/windhover/scheduler/v1/host.ts";
import {
  Reservation,
  type SchedulerServiceServer,
  SchedulerServiceService,
} from "../../../../src/gen/windhover/scheduler/v1/scheduler.ts";
import type { TokenVerifier } from "../../../../src/lib/auth/auth.ts";
import { requireScope } from "../../../../src/lib/auth/claims.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { unary } from "../../../../src/lib/grpc/server/rpc.ts";
import { createServer, serve } from "../../../../src/lib/grpc/server/serve.ts";
import type { FakeHost } from "./fake-host.ts";
import { type Script, Scripts } from "./scripts.ts";

/** What a scheduler keeps of an auction. */
export interface FakeReservation {
  claimant: string | undefined;
  claimedHost?: number | undefined;
  readonly offers: Offer[];
}

/** A scheduler whose hosts are the fakes, in their order, behind real gRPC; it can be told to misbehave. */
export class FakeScheduler {
  readonly hosts: FakeHost[] = [];
  readonly reservations: Map<string, FakeReservation>;
  /** What it was asked, in order. */
  readonly calls: string[] = [];
  readonly excluded: number[][] = [];
  /** Whether it claims for whoever reserves; a scheduler of before does not. */
  claims = true;
  readonly #scripts = new Scripts();
  readonly #verifier: TokenVerifier;
  #running: Awaited<ReturnType<typeof serve>> | undefined;
  #port = 0;

  /** @param reservations to be shared by replicas */
  constructor(verifier: TokenVerifier, reservations = new Map<string, FakeReservation>()) {
    this.#verifier = verifier;
    this.reservations = reservations;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    const server = createServer({ verifier: this.#verifier });
    server.addService(SchedulerServiceService, this.#service());
    this.#running = await serve(server, this.address, 0);
    this.#port = this.#running.port;
  }

  async stop(): Promise<void> {
    await this.#running?.();
    this.#running = undefined;
  }

  clear(): void {
    this.reservations.clear();
    this.calls.length = 0;
    this.excluded.length = 0;
    this.claims = true;
    this.#scripts.clear();
  }

  /** Runs `script` before the next calls of `method`; a throw refuses them. */
  before(method: string, script: Script, times = 1): void {
    this.#scripts.add(method, "before", script, times);
  }

  async #play(method: string): Promise<void> {
    this.calls.push(method);
    await this.#scripts.run(method, "before");
  }

  #service(): SchedulerServiceServer {
    return {
      reserve: unary(async ({ reservationId, excludedHosts, claimant }, ctx) => {
        requireScope(ctx, "internal");
        await this.#play("reserve");
        this.excluded.push(excludedHosts);
        const known = this.reservations.get(reservationId);
        const offers = known?.offers ?? this.#bid(reservationId, excludedHosts);
        if (offers.length === 0) {
          const facts = { hosts_asked: "0", largest_memory_mb: "128" };
          throw new Fault("RESOURCE_EXHAUSTED", "NO_CAPACITY", "no host has room", facts);
        }
        const claimedHost = this.claims && claimant ? offers[0]?.hostNumber : undefined;
        const claim = claimedHost === undefined ? undefined : claimant;
        const reservation = known ?? { claimant: claim, claimedHost, offers };
        this.reservations.set(reservationId, reservation);
        const expireTime = new Date(Date.now() + 5_000);
        return {
          reservation: Reservation.fromPartial({ id: reservationId, offers, expireTime }),
          hostsAsked: this.hosts.length,
          claimedHost: reservation.claimant === claimant ? reservation.claimedHost : undefined,
        };
      }),
      claim: unary(async ({ reservationId, claimant, hostNumber }, ctx) => {
        requireScope(ctx, "internal");
        await this.#play("claim");
        const reservation = this.reservations.get(reservationId);
        if (!reservation) throw new Fault("FAILED_PRECONDITION", "RESERVATION_EXPIRED", "it is gone");
        if (reservation.claimant !== undefined && reservation.claimant !== claimant) {
          throw new Fault("ABORTED", "RESERVATION_CLAIMED", "somebody else's");
        }
        reservation.claimant = claimant;
        reservation.claimedHost = hostNumber;
        return { offer: reservation.offers.find((offer) => offer.hostNumber === hostNumber) };
      }),
      release: unary(async ({ reservationId, awardedHost }, ctx) => {
        requireScope(ctx, "internal");
        await this.#play("release");
        this.reservations.delete(reservationId);
        for (const host of this.hosts) if (host.number !== awardedHost) host.holds.delete(reservationId);
        return {};
      }),
      listReservations: unary((_req, ctx) => {
        requireScope(ctx, "internal");
        const reservations = [...this.reservations].map(([id, { claimant = "", claimedHost, offers }]) =>
          Reservation.fromPartial({ id, claimant, claimedHost, offers }),
        );
        return { reservations, total: reservations.length, nextPageToken: "" };
      }),
      listHosts: unary(async (_, ctx) => {
        requireScope(ctx, "internal");
        await this.#play("listHosts");
        return { hosts: this.hosts.map(attached), nextPageToken: "" };
      }),
      attach: () => {
        throw new Error("nobody attaches to the fake");
      },
    };
  }

  #bid(reservationId: string, excluded: readonly number[]): Offer[] {
    return this.hosts
      .filter((host) => !excluded.includes(host.number))
      .map((host) => ({
        hostNumber: host.number,
        hostName: host.name,
        hostAddress: host.address,
        epoch: host.hold(reservationId),
        freeAfter: undefined,
        imageLocal: false,
        load: 0,
        warmVms: 0,
        machines: 0,
        inFlight: 0,
        region: "ord",
        zone: "a",
        appMachines: 0,
      }));
  }
}

function attached(host: FakeHost) {
  return {
    info: {
      number: host.number,
      name: host.name,
      identity: host.identity,
      region: "ord",
      zone: "a",
      address: host.address,
      capacity: { cpus: 8, memoryMb: 12_288n, diskMb: 100_000n },
      vmm: "fake",
      acceleration: "none",
      isolation: "development",
      vmmReason: "",
      labels: new Map<string, string>(),
    },
    status: {
      held: undefined,
      allocated: { cpus: 1, memoryMb: 256n, diskMb: 1_024n },
      running: undefined,
      machines: new Map([["started", 1]]),
      load: 0,
      warmVms: 0,
      scheduling: Scheduling.OPEN,
    },
    attachTime: new Date(),
    lastSeenTime: new Date(),
    backoffUntilTime: undefined,
  };
}
