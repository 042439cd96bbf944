import * as grpc from "@grpc/grpc-js";
import type { TokenSource } from "../auth/tokens.ts";
import type { Clock } from "../runtime/clock.ts";
import { type ClientConstructor, connect } from "./client.ts";

/** The state of a connection. `unsure`: before the first attempt, and during one. */
export type Connection = "up" | "down" | "unsure";

/** grpc-js stays in CONNECTING for ever when a peer accepts TCP and then says nothing. */
const CONNECT_TIMEOUT_MS = 20_000;

interface Channel<C> {
  readonly client: C;
  connectingSinceMs: number | undefined;
}

/** Open channels to many servers of one kind, so that a call does not have to connect. */
export class Connections<C extends grpc.Client> {
  readonly #channels = new Map<string, Channel<C>>();
  readonly #Client: ClientConstructor<C>;
  readonly #token: TokenSource;
  readonly #clock: Clock;

  constructor(Client: ClientConstructor<C>, token: TokenSource, clock: Clock) {
    this.#Client = Client;
    this.#token = token;
    this.#clock = clock;
  }

  /** Returns the client of an address; opens its channel on first use. */
  at(address: string): C {
    return (this.#channels.get(address) ?? this.#open(address)).client;
  }

  /** Connects to exactly these addresses. Must be called periodically. */
  keepConnected(addresses: ReadonlySet<string>): void {
    for (const address of this.#channels.keys()) {
      if (!addresses.has(address)) this.#close(address);
    }
    for (const address of addresses) {
      if (!this.#isStuck(this.#channels.get(address) ?? this.#open(address))) continue;
      this.#close(address);
      this.#open(address);
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
    const client = connect(this.#Client, address, { token: this.#token });
    const channel: Channel<C> = { client, connectingSinceMs: undefined };
    this.#channels.set(address, channel);
    return channel;
  }

  #isStuck(channel: Channel<C>): boolean {
    // `true` makes an idle channel connect.
    const state = channel.client.getChannel().getConnectivityState(true);
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
