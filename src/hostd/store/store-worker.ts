import { parentPort, workerData } from "node:worker_threads";
import type { ThreadCall, ThreadReply } from "../../lib/threads/thread-client.ts";
import { type StoreAnswers, StoreDatabase, type StoreRequest } from "./store-database.ts";
import type { StoreFailure, StoreWorkerData } from "./store-thread.ts";

if (parentPort) {
  const port = parentPort;
  // `startStoreThread` starts this file, with exactly that.
  const { path, maxPages } = workerData as StoreWorkerData;
  let database: StoreDatabase | undefined;
  port.on("message", ({ id, request }: ThreadCall<StoreRequest>) => {
    let reply: ThreadReply<StoreAnswers[keyof StoreAnswers], StoreFailure>;
    try {
      database ??= new StoreDatabase(path, maxPages);
      reply = { id, value: database.answer(request) };
    } catch (err) {
      const errcode = err instanceof Error && "errcode" in err ? Number(err.errcode) & 0xff : 0;
      reply = { id, error: { message: err instanceof Error ? err.message : String(err), errcode } };
    }
    port.postMessage(reply);
    if (request.kind === "close") port.close();
  });
}
