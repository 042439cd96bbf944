import { randomUUID } from "node:crypto";
import type { Caller, CallOptions, UnaryMethod } from "../calls/caller.ts";
import { isWindhoverError, WindhoverError } from "../calls/errors.ts";
import { type RetryPolicy, sleep } from "../calls/retry.ts";
import { LeasesServiceClient } from "../gen/windhover/machines/v1/leases.ts";
import type { Lease } from "../gen/windhover/machines/v1/machine.ts";
import { DEFAULTS } from "../machines/timeouts.ts";
import { durationOrNone } from "../values/duration.ts";

/** Options of a lease. */
export interface LeaseOptions extends CallOptions {
  /** 1 s to 1 h. Default 30 s. */
  readonly ttlMs?: number;
  /** For people. At most 256 bytes. */
  readonly description?: string;
}

/** A lease that is held. May be passed as options of calls on its machine. */
export interface HeldLease {
  readonly leaseNonce: string;
  /** Aborts when the lease is lost, and with the signal of the caller. */
  readonly signal: AbortSignal;
}

const DEFAULT_TTL_MS = 30_000;
/** Part of the lease's time after which it is refreshed. */
const REFRESH = 1 / 3;

/** Leases on machines: the right of one client to change them, for a limited time. */
export class Leases {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** Acquires the lease of a machine. Fails with `LEASE_HELD` when another client holds it. */
  acquire(machineId: string, options: LeaseOptions = {}): Promise<Lease> {
    return this.#acquire(machineId, { nonce: "", requestId: randomUUID() }, options);
  }

  /** Extends a lease to its TTL from now. */
  refresh(machineId: string, nonce: string, options: LeaseOptions = {}): Promise<Lease> {
    return this.#acquire(machineId, { nonce, requestId: "" }, options);
  }

  /** Returns the lease of a machine with its nonce. Fails with `LEASE_NOT_FOUND`. */
  async get(machineId: string, options: CallOptions = {}): Promise<Lease> {
    return leaseOf(await this.#call((c) => c.getLease, { machineId }, "always", options));
  }

  /** Releases a lease. */
  async release(machineId: string, nonce: string, options: CallOptions = {}): Promise<void> {
    const { timeoutMs = DEFAULTS.callMs, signal } = options;
    const until = Date.now() + timeoutMs;
    const release = (retry: RetryPolicy) =>
      this.#call((c) => c.releaseLease, { machineId, nonce }, retry, {
        timeoutMs: until - Date.now(),
        signal,
      });
    try {
      await release("ifNotDone");
    } catch (err) {
      if (!isWindhoverError(err) || err.code !== "UNAVAILABLE" || Date.now() >= until) throw err;
      // The call that was lost may have released it.
      await release("always").catch((again: unknown) => {
        if (!isWindhoverError(again, "LEASE_NOT_FOUND")) throw again;
      });
    }
  }

  /**
   * Runs `work` while the lease of a machine is held: acquires it, refreshes it in time, and
   * releases it at the end. `held` goes with the calls: `machines.stop(id, held)`.
   */
  async withLease<T>(
    machineId: string,
    work: (held: HeldLease) => Promise<T>,
    options: LeaseOptions = {},
  ): Promise<T> {
    const { nonce } = await this.acquire(machineId, options);
    const end = new AbortController();
    const lost = new AbortController();
    const signals = [lost.signal, ...(options.signal ? [options.signal] : [])];
    const keeping = this.#keep(machineId, nonce, options, end.signal, lost);
    try {
      return await work({ leaseNonce: nonce, signal: AbortSignal.any(signals) });
    } finally {
      end.abort();
      await keeping;
      // The lease expires; the result of the work counts.
      await this.release(machineId, nonce).catch(() => {});
    }
  }

  /** Refreshes a lease until `ended`. Aborts `lost` when it is not ours any more. */
  async #keep(
    machineId: string,
    nonce: string,
    { ttlMs = DEFAULT_TTL_MS, description }: LeaseOptions,
    ended: AbortSignal,
    lost: AbortController,
  ): Promise<void> {
    let endsAtMs = performance.now() + ttlMs;
    let pauseMs = ttlMs * REFRESH;
    for (;;) {
      await sleep(pauseMs, ended);
      if (ended.aborted) return;
      const askedAtMs = performance.now();
      const timeoutMs = Math.max(1, endsAtMs - askedAtMs);
      const text = description === undefined ? {} : { description };
      try {
        await this.refresh(machineId, nonce, { ttlMs, timeoutMs, signal: ended, ...text });
        endsAtMs = askedAtMs + ttlMs;
        pauseMs = ttlMs * REFRESH;
      } catch (err) {
        if (ended.aborted) return;
        const isTaken =
          isWindhoverError(err) && err.code !== "UNAVAILABLE" && err.code !== "RESOURCE_EXHAUSTED";
        if (isTaken || performance.now() >= endsAtMs) {
          const message = `the lease of machine ${machineId} is lost`;
          lost.abort(new WindhoverError("ABORTED", "LEASE_LOST", message, { cause: err }));
          return;
        }
        pauseMs = Math.max(100, (endsAtMs - performance.now()) * REFRESH);
      }
    }
  }

  async #acquire(
    machineId: string,
    which: { readonly nonce: string; readonly requestId: string },
    options: LeaseOptions,
  ): Promise<Lease> {
    const { ttlMs, description = "", ...scope } = options;
    const message = { machineId, ...which, description, ttl: durationOrNone(ttlMs) };
    return leaseOf(await this.#call((c) => c.acquireLease, message, "always", scope));
  }

  #call<Req, Res>(
    method: (client: LeasesServiceClient) => UnaryMethod<Req, Res>,
    message: Req,
    retry: RetryPolicy,
    { timeoutMs = DEFAULTS.callMs, signal }: CallOptions,
  ): Promise<Res> {
    return this.#caller.unary(LeasesServiceClient, method, message, { retry, timeoutMs, signal });
  }
}

function leaseOf({ lease }: { readonly lease: Lease | undefined }): Lease {
  if (lease === undefined) throw new TypeError("the answer has no lease");
  return lease;
}
