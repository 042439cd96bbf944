import { ThreadClient } from "../../lib/threads/thread-client.ts";
import type { LogAnswers, LogRequest, LogWorkerData } from "./log-calls.ts";

/** The thread that has the logs, so that guests' output takes no time from starts. */
export type LogThread = ThreadClient<LogRequest, LogAnswers, string>;

/** @param onDeath called once when the thread ends unexpectedly */
export function startLogThread(workerData: LogWorkerData, onDeath: (err: Error) => void): LogThread {
  return new ThreadClient({
    module: new URL("./log-worker.ts", import.meta.url),
    name: "the logs",
    worker: { workerData },
    toError: (message) => new Error(message),
    toCancel: (call) => ({ kind: "cancel", call }),
    onDeath,
  });
}
