import { ThreadClient } from "../../lib/threads/thread-client.ts";
import type { StoreAnswers, StoreRequest } from "./store-database.ts";

export interface StoreWorkerData {
  readonly path: string;
  /** Limits the size of the database, for tests of a full disk. */
  readonly maxPages?: number;
}

/** An error of the thread. `errcode`: primary result code of SQLite, 0 for other errors. */
export interface StoreFailure {
  readonly message: string;
  readonly errcode: number;
}

/** An error of the database, with SQLite's primary result code (0 for others). */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly errcode: number;

  constructor({ message, errcode }: StoreFailure) {
    super(message);
    this.errcode = errcode;
  }
}

/** The database in a thread of its own, so that a slow disk delays only those who wait for it. */
export type StoreThread = ThreadClient<StoreRequest, StoreAnswers, StoreFailure>;

/** @param onDeath called once when the thread ends unexpectedly */
export function startStoreThread(workerData: StoreWorkerData, onDeath: (err: Error) => void): StoreThread {
  return new ThreadClient({
    module: new URL("./store-worker.ts", import.meta.url),
    name: "the store",
    worker: { workerData },
    toError: (failure) => new StoreError(failure),
    onDeath,
  });
}
