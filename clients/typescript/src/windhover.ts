import type { ChannelCredentials } from "@grpc/grpc-js";
import { Apps } from "./access/apps.ts";
import { Leases } from "./access/leases.ts";
import { Platform } from "./access/platform.ts";
import { Tokens } from "./access/tokens.ts";
import { type Acquire, type Acquired, acquireMachine } from "./acquire/acquire.ts";
import { Caller, type CallOptions, type TokenSource } from "./calls/caller.ts";
import { Endpoints } from "./calls/endpoints.ts";
import { Exec } from "./exec/exec.ts";
import { Machines } from "./machines/machines.ts";

/** Options of a client. */
export interface WindhoverOptions {
  /** Apis, each `host:port`, or with `https://` in front for TLS. The nearest one is called. */
  readonly endpoints: readonly string[];
  /** A token, or a function that returns it for each call. */
  readonly token: TokenSource;
  /** Credentials of the connections, instead of those of the scheme. */
  readonly credentials?: ChannelCredentials;
}

/**
 * A client of Windhover. Make one for the program, and close it at the end.
 *
 * @example const windhover = new Windhover({ endpoints: ["127.0.0.1:7070"], token });
 */
export class Windhover {
  readonly machines: Machines;
  readonly exec: Exec;
  readonly leases: Leases;
  readonly apps: Apps;
  readonly platform: Platform;
  readonly tokens: Tokens;
  readonly #endpoints: Endpoints;
  readonly #caller: Caller;

  constructor({ endpoints, token, credentials }: WindhoverOptions) {
    if (endpoints.length === 0) throw new TypeError("endpoints: name one at least");
    this.#endpoints = new Endpoints(endpoints, credentials);
    this.#caller = new Caller(this.#endpoints, token);
    this.machines = new Machines(this.#caller);
    this.exec = new Exec(this.#caller);
    this.leases = new Leases(this.#caller);
    this.apps = new Apps(this.#caller);
    this.platform = new Platform(this.#caller);
    this.tokens = new Tokens(this.#caller);
  }

  /**
   * Gets a running machine by the first of several ways that works. `timeoutMs` bounds all steps,
   * 60 s by default. Fails with `NO_STEP_WORKED` or `ACQUIRE_TIMEOUT`.
   */
  acquire(request: Acquire, options: CallOptions = {}): Promise<Acquired> {
    return acquireMachine(this.#caller, request, options);
  }

  /** Closes the connections. Open calls and streams fail. */
  close(): void {
    this.#endpoints.close();
  }
}
