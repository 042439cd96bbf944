import { parentPort, workerData } from "node:worker_threads";
import { type ChangeRow, type Opened, type OutboxRow, StoreDatabase } from "./store-database.ts";

/** What the thread is asked. */
export type StoreRequest =
  | { readonly kind: "begin" }
  | { readonly kind: "commit"; readonly changes: readonly ChangeRow[] }
  | { readonly kind: "outbox"; readonly after: number; readonly limit: number }
  | { readonly kind: "acknowledge"; readonly sequence: number }
  | { readonly kind: "prune"; readonly beforeMs: number }
  | { readonly kind: "close" };

/** What it answers to each kind. */
export interface StoreAnswers {
  readonly begin: Opened;
  readonly commit: number;
  readonly outbox: readonly OutboxRow[];
  readonly acknowledge: undefined;
  readonly prune: readonly string[];
  readonly close: undefined;
}

/** A request on its way. */
export interface StoreCall {
  readonly id: number;
  readonly request: StoreRequest;
}

/** Its answer. `errcode` is SQLite's, 0 for other errors. */
export type StoreReply =
  | { readonly id: number; readonly value: StoreAnswers[keyof StoreAnswers] }
  | { readonly id: number; readonly error: string; readonly errcode: number };

/** What the thread is told at its start. */
export interface StoreWorkerData {
  readonly path: string;
  readonly maxPages?: number;
}

// The thread that owns the database: waiting for the disk here keeps nobody else waiting.
if (parentPort) {
  const port = parentPort;
  // Only `store.ts` starts this file, with exactly that.
  const { path, maxPages } = workerData as StoreWorkerData;
  let database: StoreDatabase | undefined;
  const answer = (request: StoreRequest): StoreAnswers[keyof StoreAnswers] => {
    database ??= new StoreDatabase(path, maxPages);
    switch (request.kind) {
      case "begin":
        return database.begin();
      case "commit":
        return database.commit(request.changes);
      case "outbox":
        return database.outbox(request.after, request.limit);
      case "acknowledge":
        database.acknowledge(request.sequence);
        return undefined;
      case "prune":
        return database.prune(request.beforeMs);
      case "close":
        database.close();
        port.close();
        return undefined;
    }
  };
  port.on("message", ({ id, request }: StoreCall) => {
    let reply: StoreReply;
    try {
      reply = { id, value: answer(request) };
    } catch (err) {
      const errcode = err instanceof Error && "errcode" in err ? Number(err.errcode) & 0xff : 0;
      reply = { id, error: err instanceof Error ? err.message : String(err), errcode };
    }
    port.postMessage(reply);
  });
}
