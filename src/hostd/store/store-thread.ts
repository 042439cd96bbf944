import { Worker } from "node:worker_threads";
import type { StoreAnswers, StoreCall, StoreReply, StoreRequest, StoreWorkerData } from "./store-worker.ts";

/** An error of the database, with SQLite's primary result code (0 for others). */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly errcode: number;

  constructor(message: string, errcode: number) {
    super(message);
    this.errcode = errcode;
  }
}

interface Pending {
  readonly resolve: (value: never) => void;
  readonly reject: (reason: Error) => void;
}

/** The thread that owns the database, as promises. */
export class StoreThread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #dead: Error | undefined;

  /** @param onDeath called once when the thread ends without having been told to */
  constructor(data: StoreWorkerData, onDeath: (err: Error) => void) {
    // Without our own flags: the thread needs no telemetry.
    this.#worker = new Worker(new URL("./store-worker.ts", import.meta.url), {
      workerData: data,
      execArgv: [],
    });
    this.#worker.on("message", (reply: StoreReply) => this.#settle(reply));
    this.#worker.on("error", (err) =>
      this.#die(err instanceof Error ? err : new Error(String(err)), onDeath),
    );
    this.#worker.on("exit", () => this.#die(new Error("the store's thread has ended"), onDeath));
  }

  /** Asks the thread; it answers one request after the other. */
  ask<K extends StoreRequest["kind"]>(
    request: StoreRequest & { readonly kind: K },
  ): Promise<StoreAnswers[K]> {
    if (this.#dead) return Promise.reject(this.#dead);
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      // The thread answers each kind with its own type; the map cannot say so.
      this.#pending.set(id, { resolve: resolve as (value: never) => void, reject });
      this.#worker.postMessage({ id, request } satisfies StoreCall);
    });
  }

  /** Closes the database and ends the thread. */
  async close(): Promise<void> {
    if (this.#dead) return;
    const closed = this.ask({ kind: "close" });
    this.#dead = new Error("the store is closed");
    await closed.catch(() => {});
    await this.#worker.terminate();
  }

  #settle(reply: StoreReply): void {
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if ("error" in reply) pending?.reject(new StoreError(reply.error, reply.errcode));
    // See `ask`.
    else pending?.resolve(reply.value as never);
  }

  #die(err: Error, onDeath: (err: Error) => void): void {
    for (const { reject } of this.#pending.values()) reject(err);
    this.#pending.clear();
    if (this.#dead) return;
    this.#dead = err;
    onDeath(err);
  }
}
