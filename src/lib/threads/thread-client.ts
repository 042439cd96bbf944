import { Worker, type WorkerOptions } from "node:worker_threads";
import { onAbort } from "../runtime/abort.ts";

/** A request as its thread gets it. */
export interface ThreadCall<Request> {
  readonly id: number;
  readonly request: Request;
}

/** The thread's answer to the call with this id. Calls may be answered in any order. */
export type ThreadReply<Value, Failure> =
  | { readonly id: number; readonly value: Value }
  | { readonly id: number; readonly error: Failure };

export interface ThreadOptions<Request, Failure> {
  /** The module that the thread runs. It gets a {@link ThreadCall} at a time. */
  readonly module: URL;
  /** What the thread is for, as errors say it. */
  readonly name: string;
  /** By default the thread has none of the process's own flags, which load telemetry. */
  readonly worker?: WorkerOptions;
  readonly toError: (failure: Failure) => Error;
  /** Makes the request that cancels a call. Without it, a cancelled call goes on in the thread. */
  readonly toCancel?: (id: number) => Request;
  /** Called once when the thread ends unexpectedly. */
  readonly onDeath: (err: Error) => void;
}

export interface ThreadCallOptions {
  readonly transfer?: readonly ArrayBuffer[];
  readonly signal?: AbortSignal;
}

interface Pending {
  readonly resolve: (value: never) => void;
  readonly reject: (reason: unknown) => void;
}

/** Calls a thread of its own. Requests are told apart by `kind`, and each kind has its answer. */
export class ThreadClient<
  Request extends { readonly kind: string },
  Answers extends { readonly [K in Request["kind"]]: unknown },
  Failure,
> {
  readonly #worker: Worker;
  readonly #options: ThreadOptions<Request, Failure>;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #failure: Error | undefined;

  constructor(options: ThreadOptions<Request, Failure>) {
    this.#options = options;
    this.#worker = new Worker(options.module, { execArgv: [], ...options.worker });
    this.#worker.on("message", (reply: ThreadReply<Answers[Request["kind"]], Failure>) =>
      this.#receive(reply),
    );
    this.#worker.on("error", (err) => this.#fail(err instanceof Error ? err : new Error(String(err))));
    this.#worker.on("exit", () => this.#fail(new Error(`the thread of ${options.name} has ended`)));
  }

  /** How many calls have no answer yet. */
  get pending(): number {
    return this.#pending.size;
  }

  /**
   * Sends a request to the thread, after all earlier ones. Rejects with what `toError` makes of a
   * failure, with the reason of `signal`, or with why the thread has ended.
   */
  call<K extends Request["kind"]>(
    request: Request & { readonly kind: K },
    options?: ThreadCallOptions,
  ): Promise<Answers[K]> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (options?.signal?.aborted) return Promise.reject(options.signal.reason);
    const id = this.#nextId++;
    const answer = new Promise<Answers[K]>((resolve, reject) => {
      this.#post({ id, request }, options?.transfer);
      // The thread answers each kind with its own type; the map cannot say so.
      this.#pending.set(id, { resolve: resolve as (value: never) => void, reject });
    });
    return options?.signal ? this.#cancellable(id, answer, options.signal) : answer;
  }

  /** Keeps the process running, as a new thread does, until `unref`. */
  ref(): void {
    this.#worker.ref();
  }

  unref(): void {
    this.#worker.unref();
  }

  /** Sends a last request, waits for its answer, then ends the thread. Further calls are refused. */
  async close(last: Request): Promise<void> {
    if (this.#failure) return;
    const closed = this.call(last);
    this.#failure = new Error(`the thread of ${this.#options.name} is closed`);
    await closed.catch(() => {});
    await this.#worker.terminate();
  }

  /** Ends the thread at once. Calls without an answer fail. */
  async terminate(): Promise<void> {
    this.#failure ??= new Error(`the thread of ${this.#options.name} is closed`);
    await this.#worker.terminate();
  }

  async #cancellable<T>(id: number, answer: Promise<T>, signal: AbortSignal): Promise<T> {
    using _ = onAbort(signal, () => {
      const pending = this.#pending.get(id);
      if (!pending) return;
      this.#pending.delete(id);
      const { toCancel } = this.#options;
      if (toCancel) this.#post({ id: this.#nextId++, request: toCancel(id) });
      pending.reject(signal.reason);
    });
    return await answer;
  }

  #post(call: ThreadCall<Request>, transfer?: readonly ArrayBuffer[]): void {
    this.#worker.postMessage(call, transfer);
  }

  #receive(reply: ThreadReply<Answers[Request["kind"]], Failure>): void {
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if ("error" in reply) pending?.reject(this.#options.toError(reply.error));
    else pending?.resolve(reply.value as never);
  }

  #fail(err: Error): void {
    for (const { reject } of this.#pending.values()) reject(err);
    this.#pending.clear();
    if (this.#failure) return;
    this.#failure = err;
    this.#options.onDeath(err);
  }
}
