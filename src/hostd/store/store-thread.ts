import { Worker } from "node:worker_threads";
import type { StoreAnswers, StoreRequest } from "./store-database.ts";

export interface StoreWorkerData {
  readonly path: string;
  /** Limits the size of the database, for tests of a full disk. */
  readonly maxPages?: number;
}

export interface StoreCall {
  readonly id: number;
  readonly request: StoreRequest;
}

/** A message from the thread. `errcode`: primary result code of SQLite, 0 for other errors. */
export type StoreReply =
  | { readonly id: number; readonly value: StoreAnswers[keyof StoreAnswers] }
  | { readonly id: number; readonly error: string; readonly errcode: number };

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

/** Calls the database in a thread of its own, so that a slow disk delays only those who wait for it. */
export class StoreThread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #failure: Error | undefined;

  /** @param onDeath called once when the thread ends unexpectedly */
  constructor(data: StoreWorkerData, onDeath: (err: Error) => void) {
    // Without hostd's own flags, which load telemetry.
    this.#worker = new Worker(new URL("./store-worker.ts", import.meta.url), {
      workerData: data,
      execArgv: [],
    });
    this.#worker.on("message", (reply: StoreReply) => this.#receive(reply));
    this.#worker.on("error", (err) =>
      this.#fail(err instanceof Error ? err : new Error(String(err)), onDeath),
    );
    this.#worker.on("exit", () => this.#fail(new Error("the store's thread has ended"), onDeath));
  }

  /** Runs a request in the thread, after all earlier ones. @throws StoreError */
  call<K extends StoreRequest["kind"]>(
    request: StoreRequest & { readonly kind: K },
  ): Promise<StoreAnswers[K]> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      // The thread answers each kind with its own type; the map cannot say so.
      this.#pending.set(id, { resolve: resolve as (value: never) => void, reject });
      this.#worker.postMessage({ id, request } satisfies StoreCall);
    });
  }

  async close(): Promise<void> {
    if (this.#failure) return;
    const closed = this.call({ kind: "close" });
    this.#failure = new Error("the store is closed");
    await closed.catch(() => {});
    await this.#worker.terminate();
  }

  #receive(reply: StoreReply): void {
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if ("error" in reply) pending?.reject(new StoreError(reply.error, reply.errcode));
    else pending?.resolve(reply.value as never);
  }

  #fail(err: Error, onDeath: (err: Error) => void): void {
    for (const { reject } of this.#pending.values()) reject(err);
    this.#pending.clear();
    if (this.#failure) return;
    this.#failure = err;
    onDeath(err);
  }
}
