import {
  type ChannelCredentials,
  type ChannelOptions,
  type Client,
  type ClientOptions,
  credentials,
  Metadata,
} from "@grpc/grpc-js";
import { HealthClient, HealthCheckResponse_ServingStatus as SERVING } from "../gen/grpc/health/v1/health.ts";

/** The constructor of a generated client. */
export type ClientConstructor<C extends Client> = new (
  address: string,
  credentials: ChannelCredentials,
  options?: Partial<ClientOptions>,
) => C;

const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;
const CHANNEL: ChannelOptions = {
  "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
  "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
  // Finds an api that has vanished while a stream is open.
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 5_000,
  "grpc.service_config_disable_resolution": 1,
  "grpc.enable_channelz": 0,
};

/** How long an api may take to answer a probe. */
const PROBE_TIMEOUT_MS = 2_000;
const PROBE_EVERY_MS = 30_000;
/** How long an api that has failed is left alone, doubling. */
const ABSENCE = { firstMs: 500, maxMs: 30_000 };
/** Another api is preferred when it is this much faster. */
const BETTER = { factor: 0.75, byMs: 1 };

/** One api: its address, its connection, and its health. */
export class Endpoint {
  readonly address: string;
  /** Shortest time that a probe took; undefined before the first. */
  latencyMs: number | undefined;
  /** Failures since it last answered. */
  failures = 0;
  /** When it may be tried again, by the monotonic clock. */
  awayUntilMs = 0;
  readonly #credentials: ChannelCredentials;
  readonly #clients = new Map<unknown, Client>();
  #first: Client | undefined;

  /** @param address `host:port`, or with `http://` or `https://` in front */
  constructor(address: string, own?: ChannelCredentials) {
    const isSecure = address.startsWith("https://");
    this.address = address.replace(/^https?:\/\//, "").replace(/\/+$/, "");
    this.#credentials = own ?? (isSecure ? credentials.createSsl() : credentials.createInsecure());
  }

  /** Returns the client of a service. All share a connection. */
  client<C extends Client>(Constructor: ClientConstructor<C>): C {
    const known = this.#clients.get(Constructor);
    // Stored by its constructor.
    if (known) return known as C;
    const shared: Partial<ClientOptions> = this.#first ? { channelOverride: this.#first.getChannel() } : {};
    const made = new Constructor(this.address, this.#credentials, { ...CHANNEL, ...shared });
    this.#first ??= made;
    this.#clients.set(Constructor, made);
    return made;
  }

  isAway(): boolean {
    return performance.now() < this.awayUntilMs;
  }

  answered(): void {
    this.failures = 0;
    this.awayUntilMs = 0;
  }

  failed(): void {
    const pause = Math.min(ABSENCE.firstMs * 2 ** this.failures, ABSENCE.maxMs);
    this.failures += 1;
    this.awayUntilMs = performance.now() + pause;
  }

  /** Measures how long a small call takes. @throws when there is no answer, or it does not serve */
  async probe(): Promise<void> {
    const startedAt = performance.now();
    const client = this.client(HealthClient);
    const deadline = Date.now() + PROBE_TIMEOUT_MS;
    try {
      await new Promise<void>((resolve, reject) => {
        client.check({ service: "" }, new Metadata(), { deadline }, (err, response) => {
          if (err) reject(err);
          else if (response.status !== SERVING.SERVING) reject(new Error(`${this.address} does not serve`));
          else resolve();
        });
      });
    } catch (err) {
      this.failed();
      throw err;
    }
    const tookMs = performance.now() - startedAt;
    this.latencyMs = this.latencyMs === undefined ? tookMs : Math.min(tookMs, this.latencyMs * 1.1);
    this.answered();
  }

  close(): void {
    this.#first?.close();
  }
}

/** The apis that a client may call, of which it prefers the nearest by measured latency. */
export class Endpoints {
  readonly #all: readonly Endpoint[];
  #current: Endpoint | undefined;
  #probing: Promise<unknown> | undefined;
  #probedAtMs = Number.NEGATIVE_INFINITY;

  constructor(addresses: readonly string[], own?: ChannelCredentials) {
    this.#all = [...new Set(addresses)].map((address) => new Endpoint(address, own));
  }

  /** Returns the api to call now. The first time, that is whichever answers first. */
  async pick(): Promise<Endpoint> {
    const [only, ...others] = this.#all;
    if (only === undefined) throw new TypeError("a client needs an endpoint");
    if (others.length === 0) return only;
    if (this.#probing === undefined && performance.now() - this.#probedAtMs > PROBE_EVERY_MS) this.#probe();
    if (this.#all.every(({ latencyMs }) => latencyMs === undefined)) await this.#probing;
    this.#current = this.#best() ?? only;
    return this.#current;
  }

  /** Notes that an api cannot be used now. */
  failed(endpoint: Endpoint): void {
    if (!endpoint.isAway()) endpoint.failed();
  }

  /** Whether there is an api that is not known to be away. */
  hasOther(endpoint: Endpoint): boolean {
    return this.#all.some((each) => each !== endpoint && !each.isAway());
  }

  close(): void {
    for (const each of this.#all) each.close();
  }

  #probe(): void {
    this.#probedAtMs = performance.now();
    const probes = this.#all.map((each) => each.probe());
    const settled = Promise.allSettled(probes);
    this.#probing = Promise.race([Promise.any(probes).catch(() => {}), settled]);
    void settled.then(() => {
      this.#probing = undefined;
    });
  }

  /** Those that are away come last, in the order in which they may be tried again. */
  #best(): Endpoint | undefined {
    const here = this.#all.filter((each) => !each.isAway());
    if (here.length === 0) return this.#all.toSorted((a, b) => a.awayUntilMs - b.awayUntilMs)[0];
    const best = here.toSorted((a, b) => latencyOf(a) - latencyOf(b))[0];
    const current = this.#current;
    if (current === undefined || best === undefined || !here.includes(current)) return best;
    const [now, then] = [latencyOf(current), latencyOf(best)];
    return then < now * BETTER.factor && then < now - BETTER.byMs ? best : current;
  }
}

function latencyOf({ latencyMs }: Endpoint): number {
  return latencyMs ?? Number.POSITIVE_INFINITY;
}
