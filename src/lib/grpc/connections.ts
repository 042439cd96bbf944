import * as grpc from "@grpc/grpc-js";
import { HealthService } from "../../gen/grpc/health/v1/health.ts";
import type { TokenSource } from "../auth/tokens.ts";
import type { Clock } from "../runtime/clock.ts";
import { type ClientConstructor, connect } from "./client.ts";

/** The state of a connection. `unsure`: before the first attempt, and during one. */
export type Connection = "up" | "down" | "unsure";

/** grpc-js stays in CONNECTING for ever when a peer accepts TCP and then says nothing. */
const CONNECT_TIMEOUT_MS = 20_000;
const INTRODUCTION_TIMEOUT_MS = 10_000;
/** A call may still wait for the connection of an address that is not to be kept, or not yet. */
const UNUSED_MS = 60_000;

interface Channel<C> {
  readonly client: C;
  connectingSinceMs: number | undefined;
  usedMs: number;
  /** Whether a token was shown on the present connection. */
  isIntroduced: boolean;
}

/** Open channels to many servers of one kind, so that a call does not have to connect. */
export class Connections<C extends grpc.Client> {
  readonly #channels = new Map<string, Channel<C>>();
  readonly #Client: ClientConstructor<C>;
  readonly #token: TokenSource;
  readonly #clock: Clock;
  readonly #ownConnections: boolean;

  /** @param ownConnections whether they are shared with no other clients of the same addresses */
  constructor(Client: ClientConstructor<C>, token: TokenSource, clock: Clock, ownConnections = false) {
    this.#Client = Client;
    this.#token = token;
    this.#clock = clock;
    this.#ownConnections = ownConnections;
  }

  /** Returns the client of an address; opens its channel on first use. */
  at(address: string): C {
    const channel = this.#channels.get(address) ?? this.#open(address);
    channel.usedMs = this.#clock.monotonicMs();
    return channel.client;
  }

  /** Connects to these addresses, and closes what is connected to others and not used. Must be called periodically. */
  keepConnected(addresses: ReadonlySet<string>): void {
    for (const [address, channel] of this.#channels) {
      if (!addresses.has(address) && this.#isUnused(channel)) this.#close(address);
    }
    for (const address of addresses) {
      const channel = this.#channels.get(address) ?? this.#open(address);
      if (this.#isStuck(channel, true)) {
        this.#close(address);
        this.#open(address);
      } else introduce(channel);
    }
  }

  /** Connects at once to a server that could not be reached, and says that it is up. */
  reconnect(address: string): void {
    // A new channel: grpc-js waits for the end of its backoff, and fails every call until then.
    if (this.stateOf(address) !== "down") return;
    this.#close(address);
    this.#open(address).client.getChannel().getConnectivityState(true);
  }

  /** Closes what is connected to other addresses and not used, and what cannot connect. Must be called periodically. */
  retain(addresses: ReadonlySet<string>): void {
    for (const [address, channel] of this.#channels) {
      const isOver = !addresses.has(address) && this.#isUnused(channel);
      if (isOver || this.#isStuck(channel, false)) this.#close(address);
    }
  }

  stateOf(address: string): Connection {
    const state = this.#channels.get(address)?.client.getChannel().getConnectivityState(false);
    if (state === grpc.connectivityState.READY) return "up";
    return state === grpc.connectivityState.TRANSIENT_FAILURE ? "down" : "unsure";
  }

  close(): void {
    for (const address of [...this.#channels.keys()]) this.#close(address);
  }

  #open(address: string): Channel<C> {
    const ownConnection = this.#ownConnections;
    const client = connect(this.#Client, address, { token: this.#token, ownConnection });
    const usedMs = this.#clock.monotonicMs();
    const channel: Channel<C> = { client, connectingSinceMs: undefined, usedMs, isIntroduced: false };
    this.#channels.set(address, channel);
    return channel;
  }

  #isUnused({ usedMs }: Channel<C>): boolean {
    return this.#clock.monotonicMs() - usedMs > UNUSED_MS;
  }

  /** @param connects whether an idle channel is to connect */
  #isStuck(channel: Channel<C>, connects: boolean): boolean {
    const state = channel.client.getChannel().getConnectivityState(connects);
    if (state !== grpc.connectivityState.CONNECTING) {
      channel.connectingSinceMs = undefined;
      return false;
    }
    channel.connectingSinceMs ??= this.#clock.monotonicMs();
    return this.#clock.monotonicMs() - channel.connectingSinceMs > CONNECT_TIMEOUT_MS;
  }

  #close(address: string): void {
    this.#channels.get(address)?.client.close();
    this.#channels.delete(address);
  }
}

/**
 * Shows the token on a new connection, by a health check. A server closes the connections of strangers
 * that are idle, with the call that comes at that moment.
 */
function introduce(channel: Channel<grpc.Client>): void {
  const { client } = channel;
  const { READY } = grpc.connectivityState;
  if (channel.isIntroduced || client.getChannel().getConnectivityState(false) !== READY) return;
  channel.isIntroduced = true;
  client.getChannel().watchConnectivityState(READY, Number.POSITIVE_INFINITY, () => {
    channel.isIntroduced = false;
  });
  const { path, requestSerialize, responseDeserialize } = HealthService.check;
  const deadline = Date.now() + INTRODUCTION_TIMEOUT_MS;
  client.makeUnaryRequest(
    path,
    requestSerialize,
    responseDeserialize,
    { service: "" },
    { deadline },
    () => {},
  );
}
