import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { Scheduling } from "../../../src/gen/windhover/scheduler/v1/host.ts";
import {
  type ReserveRequest,
  type ReserveResponse,
  SchedulerServiceClient,
  SchedulerServiceService,
} from "../../../src/gen/windhover/scheduler/v1/scheduler.ts";
import type { BidAnswer, BidRequest } from "../../../src/hostd/capacity/bid.ts";
import type { Resources } from "../../../src/hostd/machines/version.ts";
import { type Attachment, attachToSchedulers } from "../../../src/hostd/scheduler-link/attach-client.ts";
import { TokenVerifier } from "../../../src/lib/auth/auth.ts";
import { generateKeyPair } from "../../../src/lib/auth/keys.ts";
import { internalTokens } from "../../../src/lib/auth/tokens.ts";
import { call, connect } from "../../../src/lib/grpc/client.ts";
import { createServer, serve } from "../../../src/lib/grpc/server/serve.ts";
import { untraced } from "../../../src/lib/otel/untraced.ts";
import { systemClock } from "../../../src/lib/runtime/clock.ts";
import { createLogger } from "../../../src/lib/runtime/log.ts";
import { Redis } from "../../../src/lib/stores/redis.ts";
import { makeScheduler, REDIS_TIMEOUT_MS, type SchedulerSettings } from "../../../src/scheduler/scheduler.ts";

/** Waits for a condition as long as a busy machine may need. */
export const eventually = <T>(condition: () => T) => expect.poll(condition);

export const REGION = "ord";
export const KEYS = generateKeyPair();
export const token = internalTokens(KEYS.privateKey, "test");
export const quiet = createLogger("test", { write: () => {} });

/** One replica of the scheduler, served on a free port. */
export interface TestScheduler extends Awaited<ReturnType<typeof startScheduler>> {}

/** Starts a replica. */
export async function startScheduler(
  redisPath: string,
  settings: Partial<SchedulerSettings> & { port?: number } = {},
) {
  const redis = new Redis(`unix:${redisPath}`, { commandTimeoutMs: REDIS_TIMEOUT_MS, log: quiet });
  const scheduler = makeScheduler(redis, systemClock, {
    name: "test",
    region: REGION,
    ttlMs: 15_000,
    // Longer than in production, so that answers are in time on a busy machine.
    windowMs: 5_000,
    ...settings,
  });
  const server = createServer({ verifier: new TokenVerifier(KEYS.publicKey) });
  server.addService(SchedulerServiceService, scheduler.service);
  const running = await serve(server, `127.0.0.1:${settings.port ?? 0}`, 10_000);
  const address = `127.0.0.1:${running.port}`;
  const client = connect(SchedulerServiceClient, address, { token, ownConnection: true });
  return {
    ...scheduler,
    address,
    port: running.port,
    client,
    /** Resolves when Redis is connected. */
    ready: () => redis.ready(15_000),
    reserve: (request: Partial<ReserveRequest> = {}): Promise<ReserveResponse> =>
      call(client, client.reserve, reserveRequest(request), { timeoutMs: 20_000 }),
    claim: (reservationId: string, claimant: string, hostNumber: number) =>
      call(client, client.claim, { reservationId, claimant, hostNumber }, { timeoutMs: 20_000 }),
    release: (reservationId: string, awardedHost?: number, refusedHosts: number[] = []) =>
      call(client, client.release, { reservationId, awardedHost, refusedHosts }, { timeoutMs: 20_000 }),
    listReservations: (pageSize = 0, pageToken = "") =>
      call(client, client.listReservations, { pageSize, pageToken }, { timeoutMs: 20_000 }),
    listHosts: async () =>
      (await call(client, client.listHosts, { pageSize: 0, pageToken: "" }, { timeoutMs: 20_000 })).hosts,
    /** Shuts the server down gracefully. */
    shutDown: () => running(),
    async close() {
      client.close();
      await running();
      await scheduler.stop();
      await redis.close();
    },
  };
}

/** Attaches hosts with these traits, numbered from 1. */
export async function attachHosts(
  { address }: TestScheduler,
  traits: readonly HostTraits[],
): Promise<TestHost[]> {
  const hosts = traits.map((one, i) => new TestHost(i + 1, [address], one));
  await eventually(() => hosts.every((host) => host.attached())).toBe(true);
  return hosts;
}

/** Makes a reservation. */
export async function makeReservation(
  scheduler: TestScheduler,
  request: Parameters<TestScheduler["reserve"]>[0] = {},
) {
  const { reservation, hostsAsked } = await scheduler.reserve(request);
  if (!reservation?.expireTime) throw new Error("the response has no reservation");
  const numbers = reservation.offers.map((offer) => offer.hostNumber);
  return { ...reservation, expireTime: reservation.expireTime, numbers, hostsAsked };
}

/** A request for a small machine. */
export function reserveRequest(request: Partial<ReserveRequest> = {}): ReserveRequest {
  return {
    reservationId: randomUUID(),
    resources: { cpus: 1, memoryMb: 256n, diskMb: 1_024n },
    imageDigest: `sha256:${"a".repeat(64)}`,
    excludedHosts: [],
    app: "web",
    placement: undefined,
    ...request,
  };
}

/** Traits of a fake host. */
export interface HostTraits {
  readonly capacity?: Resources;
  readonly identity?: string;
  readonly region?: string;
  readonly imageLocal?: boolean;
  /** Its image hints; see LocalImages. Default: none. */
  readonly hints?: readonly number[];
  readonly labels?: Readonly<Record<string, string>>;
  /** Answers bids. Default: holds what fits. */
  readonly answer?: (asked: BidRequest, host: TestHost) => BidAnswer;
}

/** A host with a ledger in memory, attached through the real stream. */
export class TestHost {
  readonly number: number;
  readonly traits: HostTraits;
  readonly capacity: Resources;
  readonly holds = new Map<string, Resources>();
  readonly asked: string[] = [];
  readonly released: string[] = [];
  readonly attachment: Attachment;
  readonly #abort = new AbortController();
  #epoch = 0n;

  constructor(number: number, addresses: readonly string[], traits: HostTraits = {}) {
    this.number = number;
    this.traits = traits;
    this.capacity = traits.capacity ?? { cpus: 8, memoryMb: 16_384, diskMb: 100_000 };
    // As hostd does it.
    this.attachment = untraced(() =>
      attachToSchedulers({
        addresses,
        hello: () => this.#hello(),
        status: () => this.#status(),
        bid: (asked) => this.#bid(asked),
        release: (ids) => this.#release(ids),
        images: () => traits.hints ?? [],
        token,
        signal: this.#abort.signal,
      }),
    );
  }

  attached(): boolean {
    return this.attachment.replicas().every((replica) => replica.attached);
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.attachment.done;
  }

  free(): Resources {
    const free = { ...this.capacity };
    for (const held of this.holds.values()) {
      free.cpus -= held.cpus;
      free.memoryMb -= held.memoryMb;
      free.diskMb -= held.diskMb;
    }
    return free;
  }

  /** Holds the resources of a bid. */
  hold(asked: BidRequest): BidAnswer {
    this.holds.set(asked.reservationId, asked.resources);
    this.#epoch += 1n;
    return {
      kind: "offer",
      epoch: this.#epoch,
      freeAfter: this.free(),
      imageLocal: this.traits.imageLocal ?? false,
      load: 0,
      warmVms: 0,
      machines: 0,
      appMachines: 0,
      inFlight: 0,
    };
  }

  #bid(asked: BidRequest): BidAnswer {
    this.asked.push(asked.reservationId);
    if (this.traits.answer) return this.traits.answer(asked, this);
    const free = this.free();
    if (asked.resources.cpus > free.cpus) return { kind: "decline", reason: "no_cpu", largest: free };
    if (asked.resources.memoryMb > free.memoryMb)
      return { kind: "decline", reason: "no_memory", largest: free };
    if (asked.resources.diskMb > free.diskMb) return { kind: "decline", reason: "no_disk", largest: free };
    return this.hold(asked);
  }

  #release(ids: readonly string[]): void {
    this.released.push(...ids);
    for (const id of ids) this.holds.delete(id);
  }

  #hello() {
    const { region = REGION, identity = `identity-${this.number}` } = this.traits;
    return {
      number: this.number,
      name: `host-${this.number}`,
      identity,
      region,
      zone: "a",
      address: `127.0.0.1:${20_000 + this.number}`,
      capacity: wire(this.capacity),
      vmm: "sim",
      acceleration: "none",
      isolation: "development",
      vmmReason: "a test",
      labels: new Map(Object.entries(this.traits.labels ?? {})),
    };
  }

  #status() {
    const held = { cpus: 0, memoryMb: 0, diskMb: 0 };
    for (const { cpus, memoryMb, diskMb } of this.holds.values()) {
      held.cpus += cpus;
      held.memoryMb += memoryMb;
      held.diskMb += diskMb;
    }
    const none = wire({ cpus: 0, memoryMb: 0, diskMb: 0 });
    return {
      held: wire(held),
      allocated: none,
      running: none,
      machines: new Map<string, number>(),
      load: 0,
      warmVms: 0,
      scheduling: Scheduling.OPEN,
    };
  }
}

function wire({ cpus, memoryMb, diskMb }: Resources) {
  return { cpus, memoryMb: BigInt(memoryMb), diskMb: BigInt(diskMb) };
}
