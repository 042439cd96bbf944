import { Worker } from "node:worker_threads";
import { onAbort } from "../../lib/runtime/abort.ts";
import type { LogAnswers, LogCall, LogReply, LogRequest, LogWorkerData } from "./log-calls.ts";

interface Pending {
  readonly resolve: (value: never) => void;
  readonly reject: (reason: unknown) => void;
}

/** Calls the thread that has the logs, so that guests' output takes no time from starts. */
export class LogThread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextCall = 1;
  #failure: Error | undefined;

  /** @param onDeath called once when the thread ends unexpectedly */
  constructor(data: LogWorkerData, onDeath: (err: Error) => void) {
    // Without hostd's own flags, which load telemetry.
    this.#worker = new Worker(new URL("./log-worker.ts", import.meta.url), {
      workerData: data,
      execArgv: [],
    });
    this.#worker.on("message", (reply: LogReply) => this.#receive(reply));
    this.#worker.on("error", (err) => {
      this.#fail(err instanceof Error ? err : new Error(String(err)), onDeath);
    });
    this.#worker.on("exit", () => this.#fail(new Error("the thread of the logs has ended"), onDeath));
  }

  /** Runs a request in the thread, after all earlier ones. Rejects with the reason of `signal`. */
  async call<K extends LogRequest["kind"]>(
    request: LogRequest & { readonly kind: K },
    { transfer = [], signal }: { transfer?: readonly ArrayBuffer[]; signal?: AbortSignal } = {},
  ): Promise<LogAnswers[K]> {
    if (this.#failure) throw this.#failure;
    signal?.throwIfAborted();
    const call = this.#nextCall++;
    const { promise, resolve, reject } = Promise.withResolvers<LogAnswers[K]>();
    // The thread answers each kind with its own type; the map cannot say so.
    this.#pending.set(call, { resolve: resolve as (value: never) => void, reject });
    this.#post({ call, request }, transfer);
    using _ = onAbort(signal, () => {
      this.#pending.delete(call);
      this.#post({ call: this.#nextCall++, request: { kind: "cancel", call } }, []);
      reject(signal?.reason);
    });
    return await promise;
  }

  async close(): Promise<void> {
    if (this.#failure) return;
    const flushed = this.call({ kind: "flush" });
    this.#failure = new Error("the logs are closed");
    await flushed.catch(() => {});
    await this.#worker.terminate();
  }

  #post(call: LogCall, transfer: readonly ArrayBuffer[]): void {
    this.#worker.postMessage(call, transfer);
  }

  #receive(reply: LogReply): void {
    const pending = this.#pending.get(reply.call);
    this.#pending.delete(reply.call);
    if ("error" in reply) pending?.reject(new Error(reply.error));
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
