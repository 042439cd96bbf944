import { expect } from "vitest";
import type { AttachRequest, AttachResponse } from "../../../src/gen/windhover/scheduler/v1/attach.ts";
import { SchedulerServiceService } from "../../../src/gen/windhover/scheduler/v1/scheduler.ts";
import type { Fault } from "../../../src/lib/faults/fault.ts";
import { bidiStream } from "../../../src/lib/grpc/server/rpc.ts";
import { createServer, type Running, serve } from "../../../src/lib/grpc/server/serve.ts";
import { until } from "../../../src/lib/runtime/wait.ts";

/** Waits for a condition as long as a busy machine may need. */
export const eventually = <T>(condition: () => T) => expect.poll(condition);

/** A scheduler that sends what a test wants, and collects what it receives. */
export class FakeScheduler {
  readonly received: AttachRequest["message"][] = [];
  readonly tokens: string[] = [];
  streams = 0;
  refuse: Fault | undefined;
  #send: ((message: AttachResponse["message"]) => void) | undefined;
  #fail: ((fault: Fault) => void) | undefined;
  #running: Running | undefined;

  async start(port = 0): Promise<string> {
    const server = createServer();
    server.addService(SchedulerServiceService, {
      reserve: unserved,
      claim: unserved,
      release: unserved,
      listHosts: unserved,
      attach: bidiStream((requests, ctx) => {
        this.tokens.push(String(ctx.metadata.get("authorization")[0]));
        return this.#serve(requests, ctx.signal);
      }),
    });
    this.#running = await serve(server, `127.0.0.1:${port}`, 100);
    return `127.0.0.1:${this.#running.port}`;
  }

  get port(): number {
    return this.#running?.port ?? 0;
  }

  stop(): Promise<void> | undefined {
    return this.#running?.();
  }

  say(message: AttachResponse["message"]): void {
    this.#send?.(message);
  }

  fail(fault: Fault): void {
    this.#fail?.(fault);
  }

  /** Returns the messages of one kind. */
  of<C extends string>($case: C): Extract<AttachRequest["message"], { $case: C }>[] {
    // The filter lets only that member of the union through, which its type cannot say for a type parameter.
    return this.received.filter((one) => one?.$case === $case) as never;
  }

  async *#serve(requests: AsyncIterable<AttachRequest>, signal: AbortSignal): AsyncGenerator<AttachResponse> {
    this.streams++;
    if (this.refuse) throw this.refuse;
    const queue: AttachResponse["message"][] = [{ $case: "welcome", value: { scheduler: "fake" } }];
    const abort = new AbortController();
    let wake = () => {};
    this.#send = (message) => {
      queue.push(message);
      wake();
    };
    this.#fail = (fault) => {
      abort.abort(fault);
      wake();
    };
    void this.#listen(until(requests, signal));
    for (;;) {
      abort.signal.throwIfAborted();
      const next = queue.shift();
      if (next) yield { message: next };
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  }

  async #listen(requests: AsyncIterable<AttachRequest>): Promise<void> {
    try {
      for await (const { message } of requests) this.received.push(message);
    } catch {
      // The stream's end.
    }
  }
}

function unserved(): never {
  throw new Error("only the stream is served here");
}
