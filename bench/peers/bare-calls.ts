import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import * as grpc from "@grpc/grpc-js";
import { Stack } from "../../src/lib/runtime/lifecycle.ts";
import { tool } from "../../tools/lib/paths.ts";
import { BareClient, QUESTION } from "./bare-service.ts";

/** Calls after which Node has compiled what they run through. */
const CALLS_BEFORE = 5_000;

/**
 * What a start's way costs when nothing happens on it: a client calls one process, which calls another, by bare grpc-js. No tokens, no traces, no
 * metrics, no deadlines, no messages to encode. What is above it is ours; what is below is grpc-js, Node and the machine.
 */
export class BareCalls {
  readonly #client: BareClient;
  readonly #stack: Stack;

  private constructor(client: BareClient, stack: Stack) {
    this.#client = client;
    this.#stack = stack;
  }

  /** Starts the two processes, and calls until all is compiled. */
  static async start(signal: AbortSignal): Promise<BareCalls> {
    const stack = new Stack();
    try {
      const host = await relay(stack, signal);
      const api = await relay(stack, signal, host);
      const client = new BareClient(api, grpc.credentials.createInsecure());
      stack.add("client", async () => client.close());
      const calls = new BareCalls(client, stack);
      for (let i = 0; i < CALLS_BEFORE && !signal.aborted; i++) await calls.call();
      return calls;
    } catch (cause) {
      await stack.close();
      throw cause;
    }
  }

  /** One call. Returns how long it took, in milliseconds. */
  call(): Promise<number> {
    const begun = performance.now();
    return new Promise((resolve, reject) => {
      this.#client.call(QUESTION, (err) => (err ? reject(err) : resolve(performance.now() - begun)));
    });
  }

  close(): Promise<void> {
    return this.#stack.close();
  }
}

async function relay(stack: Stack, signal: AbortSignal, next?: string): Promise<string> {
  const file = new URL("./bare-relay.ts", import.meta.url);
  const child = fork(file, next === undefined ? [] : [next], { execPath: tool("node"), execArgv: [] });
  stack.add("a bare server", () => ended(child));
  const [port] = await once(child, "message", {
    signal: AbortSignal.any([signal, AbortSignal.timeout(20_000)]),
  });
  return `127.0.0.1:${port}`;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const end = once(child, "exit");
  child.kill("SIGKILL");
  await end;
}
