import * as grpc from "@grpc/grpc-js";
import { HostServiceClient } from "../../gen/windhover/hostd/v1/hostd.ts";
import type { TokenSource } from "../../lib/auth/tokens.ts";
import { connect } from "../../lib/grpc/client.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import type { Connection } from "./host-presence.ts";

/** A channel is replaced after this: grpc-js stays in CONNECTING for ever when a peer accepts TCP and then says nothing. */
const CONNECT_TIMEOUT_MS = 20_000;

interface Channel {
  readonly client: HostServiceClient;
  connectingSinceMs: number | undefined;
}

/** Open channels to all hosts, so that a start does not have to connect. */
export class HostdConnections {
  readonly #channels = new Map<string, Channel>();
  readonly #token: TokenSource;
  readonly #clock: Clock;

  constructor(token: TokenSource, clock: Clock) {
    this.#token = token;
    this.#clock = clock;
  }

  /** Returns the client of an address; opens its channel on first use. */
  at(address: string): HostServiceClient {
    return (this.#channels.get(address) ?? this.#open(address)).client;
  }

  /** Keeps channels to exactly these addresses connected, and closes the others. Must be called periodically. */
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

  /** Returns the state of the connection to an address. */
  stateOf(address: string): Connection {
    const state = this.#channels.get(address)?.client.getChannel().getConnectivityState(false);
    if (state === grpc.connectivityState.READY) return "up";
    return state === grpc.connectivityState.TRANSIENT_FAILURE ? "down" : "unsure";
  }

  /** Closes all channels. */
  close(): void {
    for (const address of [...this.#channels.keys()]) this.#close(address);
  }

  #open(address: string): Channel {
    const client = connect(HostServiceClient, address, { token: this.#token });
    const channel: Channel = { client, connectingSinceMs: undefined };
    this.#channels.set(address, channel);
    return channel;
  }

  #isStuck(channel: Channel): boolean {
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
