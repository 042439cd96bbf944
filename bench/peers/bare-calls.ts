import { Child } from "../lib/child.ts";
import type { RelayFunctions } from "./bare-relay.ts";
import { BareClient, REQUEST } from "./bare-service.ts";

/** Calls before the first that counts, for Node to compile code. */
const CALLS_BEFORE = 5_000;

/** A client that calls a process that calls another, by grpc-js without anything of ours. */
export class BareCalls implements AsyncDisposable {
  readonly #client: BareClient;
  readonly #end: AsyncDisposable;

  private constructor(client: BareClient, end: AsyncDisposable) {
    this.#client = client;
    this.#end = end;
  }

  static async start(signal: AbortSignal): Promise<BareCalls> {
    await using stack = new AsyncDisposableStack();
    const startRelay = (next?: string) =>
      stack
        .use(new Child<RelayFunctions>(new URL("./bare-relay.ts", import.meta.url)))
        .functions.listen(next);
    const client = BareClient.connect(await startRelay(await startRelay()));
    stack.defer(() => client.close());
    const calls = new BareCalls(client, stack);
    for (let i = 0; i < CALLS_BEFORE && !signal.aborted; i++) await calls.call();
    return new BareCalls(client, stack.move());
  }

  /** Makes a call. Returns how long it took, in milliseconds. */
  call(): Promise<number> {
    const startedAt = performance.now();
    return new Promise((resolve, reject) => {
      this.#client.call(REQUEST, (err) => (err ? reject(err) : resolve(performance.now() - startedAt)));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end[Symbol.asyncDispose]();
  }
}
