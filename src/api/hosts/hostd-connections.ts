import * as grpc from "@grpc/grpc-js";
import { HostServiceClient } from "../../gen/windhover/hostd/v1/hostd.ts";
import type { TokenSource } from "../../lib/auth/tokens.ts";
import { connect } from "../../lib/grpc/client.ts";
import type { Clock } from "../../lib/runtime/clock.ts";

/** A peer that accepts TCP and then says nothing holds a grpc-js channel in CONNECTING for ever: after this it is replaced. */
const STUCK_MS = 20_000;

interface Kept {
  readonly client: HostServiceClient;
  connectingSince: number | undefined;
}

/** One open channel for each host's address, so that a start pays for no connection. */
export class HostdClients {
  readonly #clients = new Map<string, Kept>();
  readonly #token: TokenSource;
  readonly #clock: Clock;

  constructor(token: TokenSource, clock: Clock) {
    this.#token = token;
    this.#clock = clock;
  }

  /** The client of an address; opened on first use and kept. */
  at(address: string): HostServiceClient {
    let kept = this.#clients.get(address);
    if (!kept) {
      kept = {
        client: connect(HostServiceClient, address, { token: this.#token }),
        connectingSince: undefined,
      };
      this.#clients.set(address, kept);
    }
    return kept.client;
  }

  /** Connects to exactly these addresses, ahead of the first call, and hangs up on the rest. To be called again and again. */
  keep(addresses: ReadonlySet<string>): void {
    for (const address of this.#clients.keys()) {
      if (!addresses.has(address)) this.#close(address);
    }
    for (const address of addresses) {
      this.at(address);
      if (this.#isStuck(address)) {
        this.#close(address);
        this.at(address);
      }
    }
  }

  /**
   * How it stands with an address, as far as is known without asking: `up`, `down` when it could not be reached, `unsure` before the first attempt
   * and during one.
   */
  connection(address: string): "up" | "down" | "unsure" {
    const state = this.#clients.get(address)?.client.getChannel().getConnectivityState(false);
    if (state === grpc.connectivityState.READY) return "up";
    return state === grpc.connectivityState.TRANSIENT_FAILURE ? "down" : "unsure";
  }

  /** Hangs up on everybody. */
  close(): void {
    for (const address of [...this.#clients.keys()]) this.#close(address);
  }

  #isStuck(address: string): boolean {
    const kept = this.#clients.get(address);
    if (!kept) return false;
    // `true` makes an idle channel connect.
    const state = kept.client.getChannel().getConnectivityState(true);
    if (state !== grpc.connectivityState.CONNECTING) {
      kept.connectingSince = undefined;
      return false;
    }
    kept.connectingSince ??= this.#clock.monotonicMs();
    return this.#clock.monotonicMs() - kept.connectingSince > STUCK_MS;
  }

  #close(address: string): void {
    this.#clients.get(address)?.client.close();
    this.#clients.delete(address);
  }
}
