import { setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import type { ThreadCall } from "../../lib/threads/thread-client.ts";
import type { LogAnswers, LogReply, LogRequest, LogWorkerData } from "./log-calls.ts";
import { MachineLogs } from "./machine-logs.ts";

/** Beside starts, which share the CPUs of the host, logs can wait. */
const NICE = 10;

type Answer = LogAnswers[keyof LogAnswers];
type After = LogRequest & { readonly kind: "after" };

/** Answers the calls of `LogThread`: one at a time, in their order, but for reads that wait. */
class LogWorker {
  readonly #logs: MachineLogs;
  readonly #reply: (reply: LogReply) => void;
  readonly #waiting = new Map<string, Map<number, After>>();

  constructor({ dir, limits, owners }: LogWorkerData, reply: (reply: LogReply) => void) {
    this.#logs = new MachineLogs(dir, limits, owners);
    this.#logs.onChange = (id) => this.#wake(id);
    this.#reply = reply;
  }

  receive({ id, request }: ThreadCall<LogRequest>): void {
    try {
      if (request.kind === "after") this.#read(id, request);
      else this.#reply({ id, value: this.#answer(request) });
    } catch (err) {
      this.#reply({ id, error: err instanceof Error ? err.message : String(err) });
    }
  }

  #answer(request: Exclude<LogRequest, After>): Answer {
    const logs = this.#logs;
    switch (request.kind) {
      case "append":
        logs.append(request.owner, [request.line]);
        return undefined;
      case "open":
        logs.open(request.session, request.owner, request.cursorFile);
        return undefined;
      case "store":
        return logs.store(request.session, request.batch);
      case "close":
        logs.close(request.session);
        return undefined;
      case "position": {
        const log = logs.get(request.id);
        const before = request.tail === undefined ? 0 : (log?.beforeLast(request.tail) ?? 0);
        return { before, last: log?.end.sequence ?? 0 };
      }
      case "cancel": {
        for (const calls of this.#waiting.values()) calls.delete(request.call);
        return undefined;
      }
      case "remove":
        logs.remove(request.id);
        return undefined;
      case "owners":
        return logs.owners();
      case "flush":
        return undefined;
    }
  }

  #read(call: number, request: After): void {
    const log = this.#logs.get(request.id);
    // A log may have no lines up to its last sequence: a full disk loses them.
    const lines = log && log.end.sequence > request.sequence ? log.after(request.sequence) : [];
    if (lines.length > 0 || !request.waits) {
      this.#reply({ id: call, value: lines });
      return;
    }
    const calls = this.#waiting.get(request.id) ?? new Map<number, After>();
    this.#waiting.set(request.id, calls);
    calls.set(call, request);
  }

  /** Answers the reads that wait for a machine's lines. */
  #wake(id: string): void {
    const calls = this.#waiting.get(id);
    if (calls === undefined) return;
    this.#waiting.delete(id);
    const isGone = this.#logs.get(id) === undefined;
    for (const [call, request] of calls) {
      if (isGone) this.#reply({ id: call, value: undefined });
      else this.receive({ id: call, request });
    }
  }
}

if (parentPort) {
  const port = parentPort;
  setPriority(NICE);
  // `startLogThread` starts this file, with exactly that.
  const worker = new LogWorker(workerData as LogWorkerData, (reply) => port.postMessage(reply));
  port.on("message", (call: ThreadCall<LogRequest>) => worker.receive(call));
}
