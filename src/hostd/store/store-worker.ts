import { parentPort, workerData } from "node:worker_threads";
import { StoreDatabase } from "./store-database.ts";
import type { StoreCall, StoreReply, StoreWorkerData } from "./store-thread.ts";

if (parentPort) {
  const port = parentPort;
  // `StoreThread` starts this file, with exactly that.
  const { path, maxPages } = workerData as StoreWorkerData;
  let database: StoreDatabase | undefined;
  port.on("message", ({ id, request }: StoreCall) => {
    let reply: StoreReply;
    try {
      database ??= new StoreDatabase(path, maxPages);
      reply = { id, value: database.answer(request) };
    } catch (err) {
      const errcode = err instanceof Error && "errcode" in err ? Number(err.errcode) & 0xff : 0;
      reply = { id, error: err instanceof Error ? err.message : String(err), errcode };
    }
    port.postMessage(reply);
    if (request.kind === "close") port.close();
  });
}
