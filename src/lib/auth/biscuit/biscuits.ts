import { once } from "node:events";
import { Worker, type WorkerOptions } from "node:worker_threads";
import { Fault } from "../../faults/fault.ts";
import type { CodecRequest, CodecResponse, OpenedBiscuit } from "./biscuit-codec.ts";

/** The library leaks about 1 KB of its memory with each valid token. */
const MAX_REQUESTS_PER_THREAD = 20_000;
/** Without a command line and an environment of the process; small, as it holds one library. */
const THREAD: WorkerOptions = {
  ...{ execArgv: [], env: {} },
  resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 },
};
const MAX_PENDING = 4_096;

interface Pending {
  resolve(response: CodecResponse): void;
  reject(err: unknown): void;
}

interface Thread {
  readonly worker: Worker;
  readonly pending: Map<number, Pending>;
  requests: number;
}

interface Reply {
  readonly id: number;
  readonly response?: CodecResponse;
  readonly error?: string;
  /** Whether the library may be in a bad state. */
  readonly isBroken?: boolean;
}

/** A token that the library does not take. */
export class BadBiscuit extends Error {
  override readonly name = "BadBiscuit";
}

/**
 * Makes and opens Biscuits in a thread, which is made with the first request. Signatures of
 * strangers' tokens are thus checked beside the thread that serves calls, and a thread that fails
 * or has served its number of requests is replaced.
 */
export class Biscuits {
  readonly #maxRequests: number;
  #thread: Thread | undefined;
  #lastId = 0;

  /** @param maxRequests after which the thread is replaced */
  constructor(maxRequests = MAX_REQUESTS_PER_THREAD) {
    this.#maxRequests = maxRequests;
  }

  /** Makes the thread, so that the first request does not wait for it. */
  preload(): void {
    this.#usable();
  }

  /** @throws BadBiscuit */
  async open(token: string, key: Uint8Array): Promise<OpenedBiscuit> {
    const response = await this.#ask({ kind: "open", token, key });
    if (typeof response === "string") throw new TypeError("the thread has answered another request");
    return response;
  }

  /** @param seed of the Ed25519 private key */
  async mint(seed: Uint8Array, keyId: number, code: string): Promise<string> {
    return String(await this.#ask({ kind: "mint", seed, keyId, code }));
  }

  /** @throws BadBiscuit */
  async attenuate(token: string, key: Uint8Array, code: string): Promise<string> {
    return String(await this.#ask({ kind: "attenuate", token, key, code }));
  }

  async #ask(request: CodecRequest): Promise<CodecResponse> {
    const thread = this.#usable();
    if (thread.pending.size >= MAX_PENDING) throw busy();
    const id = ++this.#lastId;
    thread.requests += 1;
    return await new Promise((resolve, reject) => {
      thread.pending.set(id, { resolve, reject });
      thread.worker.ref();
      thread.worker.postMessage({ id, request });
    });
  }

  #usable(): Thread {
    if (this.#thread && this.#thread.requests < this.#maxRequests) return this.#thread;
    // The old one ends with its last answer.
    if (this.#thread?.pending.size === 0) void this.#thread.worker.terminate();
    this.#thread = this.#start();
    return this.#thread;
  }

  #start(): Thread {
    const worker = new Worker(new URL("./biscuit-thread.ts", import.meta.url), THREAD);
    const thread: Thread = { worker, pending: new Map(), requests: 0 };
    const fail = (err: unknown) => {
      if (this.#thread === thread) this.#thread = undefined;
      for (const { reject } of thread.pending.values()) reject(err);
      thread.pending.clear();
    };
    worker.on("message", ({ id, response, error, isBroken }: Reply) => {
      const waiting = thread.pending.get(id);
      thread.pending.delete(id);
      if (isBroken) thread.requests = this.#maxRequests;
      if (response === undefined) waiting?.reject(new BadBiscuit(error));
      else waiting?.resolve(response);
      if (thread.pending.size > 0) return;
      worker.unref();
      if (this.#thread !== thread) void worker.terminate();
    });
    worker.on("error", fail);
    void once(worker, "exit").then(() => fail(new Error("the thread has ended")), fail);
    // Last: a listener for messages keeps the process running.
    worker.unref();
    return thread;
  }
}

function busy(): Fault {
  const message = "too many tokens wait to be verified; try again";
  return new Fault("UNAVAILABLE", "TOKEN_QUEUE_FULL", message, {}, { retryAfterMs: 500 });
}
