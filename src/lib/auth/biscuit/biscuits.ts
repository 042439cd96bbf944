import type { WorkerOptions } from "node:worker_threads";
import { Fault } from "../../faults/fault.ts";
import { ThreadClient } from "../../threads/thread-client.ts";
import type { CodecAnswers, CodecFailure, CodecRequest, OpenedBiscuit } from "./biscuit-codec.ts";

/** The library leaks about 1 KB of its memory with each valid token. */
const MAX_REQUESTS_PER_THREAD = 20_000;
/** Without the environment of the process; small, as it holds one library. */
const THREAD: WorkerOptions = {
  env: {},
  resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 },
};
const MAX_PENDING = 4_096;

interface Thread {
  readonly client: ThreadClient<CodecRequest, CodecAnswers, CodecFailure>;
  requests: number;
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

  /** @param maxRequests after which the thread is replaced */
  constructor(maxRequests = MAX_REQUESTS_PER_THREAD) {
    this.#maxRequests = maxRequests;
  }

  /** Makes the thread, so that the first request does not wait for it. */
  preload(): void {
    this.#usable();
  }

  /** @throws BadBiscuit */
  open(token: string, key: Uint8Array): Promise<OpenedBiscuit> {
    return this.#call({ kind: "open", token, key });
  }

  /** @param seed of the Ed25519 private key */
  mint(seed: Uint8Array, keyId: number, code: string): Promise<string> {
    return this.#call({ kind: "mint", seed, keyId, code });
  }

  /** @throws BadBiscuit */
  attenuate(token: string, key: Uint8Array, code: string): Promise<string> {
    return this.#call({ kind: "attenuate", token, key, code });
  }

  async #call<K extends CodecRequest["kind"]>(
    request: CodecRequest & { readonly kind: K },
  ): Promise<CodecAnswers[K]> {
    const thread = this.#usable();
    const { client } = thread;
    if (client.pending >= MAX_PENDING) throw busy();
    thread.requests += 1;
    client.ref();
    try {
      return await client.call<K>(request);
    } finally {
      if (client.pending === 0) this.#release(thread);
    }
  }

  /** Lets the process end while nobody waits, and a thread that has been replaced. */
  #release(thread: Thread): void {
    thread.client.unref();
    if (this.#thread !== thread) void thread.client.terminate();
  }

  #usable(): Thread {
    if (this.#thread && this.#thread.requests < this.#maxRequests) return this.#thread;
    // The old one ends with its last answer.
    if (this.#thread?.client.pending === 0) void this.#thread.client.terminate();
    this.#thread = this.#start();
    return this.#thread;
  }

  #start(): Thread {
    const client: Thread["client"] = new ThreadClient({
      module: new URL("./biscuit-thread.ts", import.meta.url),
      name: "tokens",
      worker: THREAD,
      toError: ({ message, isBroken }) => {
        if (isBroken) thread.requests = this.#maxRequests;
        return new BadBiscuit(message);
      },
      onDeath: () => {
        if (this.#thread === thread) this.#thread = undefined;
      },
    });
    const thread: Thread = { client, requests: 0 };
    client.unref();
    return thread;
  }
}

function busy(): Fault {
  const message = "too many tokens wait to be verified; try again";
  return new Fault("UNAVAILABLE", "TOKEN_QUEUE_FULL", message, {}, { retryAfterMs: 500 });
}
