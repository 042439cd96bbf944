import { randomUUID } from "node:crypto";
import { Fault, hasReason } from "../../lib/faults/fault.ts";
import { Concurrency } from "../../lib/limits/concurrency.ts";
import { withSpan } from "../../lib/otel/tracing.ts";
import { abortable } from "../../lib/runtime/abort.ts";
import { logger } from "../../lib/runtime/log.ts";
import { sleep, TimeLimit } from "../../lib/runtime/wait.ts";
import type { MachineId } from "../machines/ids/machine-id.ts";
import type { Caller } from "../requests/caller.ts";
import { type Acquired, type AcquireRequest, failure } from "./acquire.ts";
import { AcquireRun } from "./acquire-run.ts";
import type { AcquireStore, StoredAcquire } from "./acquire-store.ts";
import type { AcquireTools } from "./acquire-tools.ts";
import { acquireTimeout, keyInUse, keyReused, noStepWorked, tooMany } from "./faults.ts";
import { inTrace } from "./own-trace.ts";
import { settle } from "./settle.ts";

export interface AcquirerParts {
  readonly tools: AcquireTools;
  readonly store: Pick<
    AcquireStore,
    "begin" | "find" | "record" | "end" | "reopen" | "renew" | "claim" | "postpone"
  >;
  /** Default: 200. */
  readonly pollMs?: number;
  /** Acquires with a key that an organisation may have under way here. Default: 512. */
  readonly maxRunning?: number;
}

/** What identifies a call: the hash of its steps, and the trace of its starts. */
interface Call {
  readonly hash: Buffer;
  readonly traceId: string;
}

const POLL_MS = 200;
/** As many as the calls that an organisation may have under way. */
const MAX_RUNNING = 512;
/** Acquires of dead apis that are settled at a time. */
const MAX_SETTLING = 20;

/** Gets running machines by the first of several steps that works. */
export class Acquirer {
  readonly #parts: AcquirerParts;
  /** Acquires with a key that run in this process, by organisation and key. */
  readonly #running = new Map<string, { readonly hash: Buffer; readonly run: Promise<Acquired> }>();
  /** Bounds them for each organisation: they are no calls any more when their callers have gone. */
  readonly #places: Concurrency;
  /** Ids of stored acquires that this api works on. */
  readonly #owned = new Set<string>();
  /** Ids of acquires of dead apis that are being settled. */
  readonly #settling = new Set<string>();

  constructor(parts: AcquirerParts) {
    this.#parts = parts;
    this.#places = new Concurrency(parts.maxRunning ?? MAX_RUNNING, tooMany);
  }

  /**
   * Gets a machine. With a key, goes on when the caller has gone, and returns the same machine for a
   * repeat.
   *
   * @throws Fault `NO_STEP_WORKED`, `ACQUIRE_TIMEOUT`, `KEY_REUSED`, `KEY_IN_USE`, `TOO_MANY_CALLS`, `DATABASE_UNAVAILABLE`
   */
  acquire(request: AcquireRequest, hash: Buffer, caller: Caller): Promise<Acquired> {
    return inTrace((traceId) => this.#acquire(request, { hash, traceId }, caller));
  }

  async #acquire(request: AcquireRequest, call: Call, caller: Caller): Promise<Acquired> {
    const { hash } = call;
    if (request.key === undefined) return this.#begin(request, call, caller, undefined);
    const name = JSON.stringify([request.org, request.key]);
    for (let known = this.#running.get(name); known !== undefined; known = this.#running.get(name)) {
      if (known.hash.equals(hash)) return { ...(await abortable(known.run, caller.signal)), repeated: true };
      const stored = await this.#parts.store.find(request.org, request.key, hash);
      if (stored?.isOther) throw keyReused(request.key);
      // The other call may not be stored yet, or fail before it is.
      await abortable(
        known.run.catch(() => {}),
        caller.signal,
      );
    }
    const release = this.#places.take(request.org);
    const { signal: _, remainingMs: _left, ...lasting } = caller;
    const run = this.#withKey(request, request.key, call, lasting).finally(() => {
      release();
      this.#running.delete(name);
    });
    run.catch(() => {});
    this.#running.set(name, { hash, run });
    return abortable(run, caller.signal);
  }

  /**
   * Renews the leases of this api, and begins to settle acquires whose lease has ended. Does not
   * wait for hosts.
   */
  async maintain(): Promise<void> {
    if (this.#owned.size > 0) await this.#parts.store.renew([...this.#owned]);
    const room = MAX_SETTLING - this.#settling.size;
    for (const stored of room > 0 ? await this.#parts.store.claim(room) : []) {
      this.#settle(stored).catch((error: unknown) => {
        logger.warn("an acquire cannot be settled yet", { acquire_id: stored.id, error });
      });
    }
  }

  async #withKey(request: AcquireRequest, key: string, call: Call, caller: Caller): Promise<Acquired> {
    const { store, pollMs = POLL_MS } = this.#parts;
    const deadline = performance.now() + request.timeoutMs;
    const id = randomUUID();
    for (;;) {
      const stored = await store.begin({
        ...request,
        key,
        id,
        requestHash: call.hash,
        traceId: call.traceId,
        intents: [],
      });
      if (!stored) return this.#begin(request, call, caller, id);
      if (stored.isOther) throw keyReused(key);
      if (stored.machineId !== null) {
        const repeated = await this.#repeat(stored, caller);
        if (repeated) return repeated;
        if (stored.status === "done" && (await store.reopen(stored.id, call.traceId)))
          return this.#begin(request, call, caller, stored.id);
      } else if (!stored.isOwned) {
        const [claimed] = await store.claim(1, stored.id);
        if (claimed) await this.#settle(claimed).catch(() => {});
      }
      if (performance.now() > deadline) throw keyInUse(key);
      await sleep(pollMs, caller.signal);
    }
  }

  /** Returns the machine of an earlier call, started again if it does not run. Undefined: it is gone. */
  async #repeat({ machineId, step }: StoredAcquire, caller: Caller): Promise<Acquired | undefined> {
    const { tools } = this.#parts;
    const id = machineId as MachineId;
    const before = await tools.get(id, caller);
    if (!before) return undefined;
    const startMs = performance.now();
    const index = step ?? 0;
    const attempt = { step: index, machineId: id, durationMs: 0, reason: "", message: "" };
    if (before.state === "started") return { machine: before, step: index, repeated: true, attempts: [] };
    try {
      const { machine } = await tools.start(id, "", caller);
      const durationMs = performance.now() - startMs;
      const attempts = [{ ...attempt, durationMs, outcome: "started" as const }];
      return { machine, step: index, repeated: true, attempts };
    } catch (err) {
      if (!(err instanceof Fault)) throw err;
      const durationMs = performance.now() - startMs;
      throw noStepWorked([{ ...attempt, durationMs, outcome: "failed", ...failure(err) }]);
    }
  }

  /** Tries the steps. @param id of the stored acquire; undefined: it is not stored yet */
  async #begin(
    request: AcquireRequest,
    call: Call,
    caller: Caller,
    id: string | undefined,
  ): Promise<Acquired> {
    const { tools, store } = this.#parts;
    using limit = new TimeLimit(request.timeoutMs, caller.signal, () => acquireTimeout([]));
    const run: AcquireRun = new AcquireRun({
      ...{ tools, store, request, caller, id, ...call },
      owned: this.#owned,
    });
    try {
      const found = await withSpan("api.acquire", {}, () => run.run(limit.signal));
      if (!found) throw noStepWorked(run.attempts);
      await run.succeed(found);
      const { machine, step } = found;
      return { machine, step, repeated: false, attempts: run.attempts };
    } catch (err) {
      run.fail();
      // The steps that were under way are among the attempts by now.
      throw limit.isOver && hasReason(err, "ACQUIRE_TIMEOUT") ? acquireTimeout(run.attempts) : err;
    }
  }

  /** Settles an acquire that this api has taken over, and stores the end. */
  async #settle(stored: StoredAcquire): Promise<void> {
    const { tools, store } = this.#parts;
    const { id } = stored;
    if (this.#settling.has(id)) return;
    this.#settling.add(id);
    // Renews the lease: a stop may take longer than that.
    this.#owned.add(id);
    try {
      const settled = await settle(tools, { ...stored, isKept: stored.key !== null });
      if (settled.kind === "later") await store.postpone(id);
      else if (settled.kind === "nothing") await store.end(id, "failed");
      else await store.end(id, "done", settled);
    } finally {
      this.#settling.delete(id);
      this.#owned.delete(id);
    }
  }
}
