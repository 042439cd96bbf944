import { getEventListeners, once } from "node:events";
import * as grpc from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../../test/support/temporary.ts";
import { call, messages, openDuplex, openStream, upload } from "./client.ts";
import { type Echo, echo, type Text } from "./echo.fixture.ts";
import { Fault } from "./fault.ts";
import { createLogger } from "./log.ts";
import { MAX_MESSAGE_BYTES } from "./options.ts";
import { bidiStream, type CallContext, clientStream, remainingMs, serverStream, unary } from "./rpc.ts";
import { startTelemetry } from "./telemetry.ts";

startTelemetry({});
const lines: Record<string, unknown>[] = [];
createLogger("test", { write: (line) => lines.push(JSON.parse(line)) });

const soon = { timeoutMs: 2_000 };
const forever = { timeoutMs: Number.POSITIVE_INFINITY };

describe("errors", () => {
  test("a fault reaches the caller whole: code, reason, message, facts, violations and delay", async () => {
    const sent = new Fault(
      "RESOURCE_EXHAUSTED",
      "NO_CAPACITY",
      "no host has 512 MiB ✓",
      { memory_mib: "512" },
      { violations: [{ field: "a.b", description: "is wrong" }], retryAfterMs: 1_250 },
    );
    await using service = await echo({ one: unary(() => Promise.reject(sent)) });

    const got = await failure(call(service.client, service.client.one, { text: "" }, soon));

    expect(got).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "NO_CAPACITY",
      message: "no host has 512 MiB ✓",
      facts: { memory_mib: "512" },
      violations: [{ field: "a.b", description: "is wrong" }],
      retryAfterMs: 1_250,
    });
  });

  test.each(["one", "down", "up", "both"] as const)(
    "an error that is no fault becomes INTERNAL without its text, and is logged once with its causes (%s)",
    async (shape) => {
      lines.length = 0;
      const fail = (): never => {
        throw new Error("password hunter2", { cause: new Error("root of it") });
      };
      await using service = await echo({
        one: unary(fail),
        down: serverStream(fail),
        up: clientStream(fail),
        both: bidiStream(fail),
      });

      const got = await failure(invoke(service, shape));

      expect(got).toMatchObject({ code: "INTERNAL", reason: "INTERNAL" });
      expect(JSON.stringify({ ...got, message: got.message, cause: String(got.cause) })).not.toContain(
        "hunter2",
      );
      expect(got.facts["trace_id"]).toMatch(/^[0-9a-f]{32}$/);
      const errors = lines.filter((line) => line["level"] === "error");
      expect(errors).toHaveLength(1);
      expect(errors[0]).toMatchObject({ msg: "a call failed", trace_id: got.facts["trace_id"] });
      expect(JSON.stringify(errors[0])).toContain("hunter2");
      expect(JSON.stringify(errors[0])).toContain("root of it");
    },
  );

  test("a stream that fails halfway delivers what came before, then the fault", async () => {
    await using service = await echo({
      down: serverStream(async function* () {
        yield { text: "first" };
        throw new Fault("ABORTED", "LOST", "lost");
      }),
    });
    const got: string[] = [];

    const error = await failure(
      (async () => {
        for await (const { text } of openStream(service.client, service.client.down, { text: "" }, soon))
          got.push(text);
      })(),
    );

    expect(got).toEqual(["first"]);
    expect(error.reason).toBe("LOST");
  });

  test("text that HTTP/2 or grpc-js cannot carry is cut or replaced, and the error still arrives", async () => {
    const sent = new Fault("INVALID_ARGUMENT", "INVALID_FIELDS", `\ud800${"x".repeat(100_000)}`, {
      field: `\udfff${"y".repeat(100_000)}`,
    });
    await using service = await echo({ one: unary(() => Promise.reject(sent)) });

    const got = await failure(call(service.client, service.client.one, { text: "" }, soon));

    expect(got).toMatchObject({ code: "INVALID_ARGUMENT", reason: "INVALID_FIELDS" });
    expect(got.message.length).toBeLessThan(5_000);
    expect(got.facts["field"]?.length).toBeLessThan(5_000);
  });

  test("a thousand violations still arrive as an error with a reason", async () => {
    const violations = Array.from({ length: 1_000 }, (_, i) => ({
      field: `f${i}`,
      description: "z".repeat(1_000),
    }));
    const sent = new Fault("INVALID_ARGUMENT", "INVALID_FIELDS", "wrong", {}, { violations });
    await using service = await echo({ one: unary(() => Promise.reject(sent)) });

    const got = await failure(call(service.client, service.client.one, { text: "" }, soon));

    expect(got.reason).toBe("INVALID_FIELDS");
    expect(got.violations.length).toBeGreaterThan(10);
  });

  test("a request that cannot be decoded gives INTERNAL and nothing of the decoder's text", async () => {
    await using service = await echo({ one: unary((req) => req) });
    const raw = (bytes: string) =>
      new Promise<grpc.ServiceError | null>((resolve) => {
        service.client.makeUnaryRequest(
          "/test.v1.Echo/One",
          () => Buffer.from(bytes),
          String,
          {},
          (err) => resolve(err),
        );
      });

    const error = await raw("{not json");

    expect(error?.code).toBe(grpc.status.INTERNAL);
    expect(error?.details).toBe("Error deserializing request");
  });

  test("an answer that cannot be encoded gives INTERNAL, and the log says why", async () => {
    lines.length = 0;
    await using service = await echo({ one: unary(() => ({}) as Text) });

    const got = await failure(call(service.client, service.client.one, { text: "" }, soon));

    expect(got.code).toBe("INTERNAL");
    expect(got.message).not.toContain("secret");
    expect(lines).toMatchObject([
      { level: "error", msg: "an answer could not be encoded", method: "test.v1.Echo/One" },
    ]);
  });

  test("messages beyond the limit are refused, at the sender", async () => {
    const large = "x".repeat(MAX_MESSAGE_BYTES);
    await using service = await echo({
      one: unary(({ text }) => ({ text: text === "large" ? large : "small" })),
    });
    const { client } = service;

    const request = await failure(call(client, client.one, { text: large }, soon));
    const response = await failure(call(client, client.one, { text: "large" }, soon));

    expect([request.code, response.code]).toEqual(["RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED"]);
  });

  test("a message just below the limit passes both ways", async () => {
    const large = "x".repeat(MAX_MESSAGE_BYTES - 100);
    await using service = await echo({ one: unary((req) => req) });

    const { text } = await call(service.client, service.client.one, { text: large }, soon);

    expect(text.length).toBe(large.length);
  });
});

describe("the signal of a call", () => {
  test("does not abort after success, although grpc-js reports every call as cancelled in the end", async () => {
    let seen: CallContext | undefined;
    let cancelled: Promise<unknown> | undefined;
    await using service = await echo({
      one: unary((req, ctx) => {
        seen = ctx;
        // The call object is an emitter; the context shows only what handlers need.
        cancelled = once(ctx.call as unknown as NodeJS.EventEmitter, "cancelled");
        return req;
      }),
    });

    await call(service.client, service.client.one, { text: "" }, soon);
    await cancelled;

    expect(seen?.signal.aborted).toBe(false);
  });

  test("aborts with CANCELLED when the caller goes", async () => {
    const handler = Promise.withResolvers<CallContext>();
    await using service = await echo({ one: waiting(handler) });
    const abort = new AbortController();

    const outcome = failure(
      call(service.client, service.client.one, { text: "" }, { ...soon, signal: abort.signal }),
    );
    const ctx = await handler.promise;
    abort.abort();

    expect(await outcome).toMatchObject({ code: "CANCELLED" });
    await expect.poll(() => ctx.signal.aborted).toBe(true);
    expect(ctx.signal.reason).toMatchObject({ code: "CANCELLED" });
  });

  test("aborts with DEADLINE_EXCEEDED when the time is over", async () => {
    const handler = Promise.withResolvers<CallContext>();
    await using service = await echo({ one: waiting(handler) });

    const error = await failure(call(service.client, service.client.one, { text: "" }, { timeoutMs: 100 }));

    expect(error).toMatchObject({ code: "DEADLINE_EXCEEDED", reason: "DEADLINE_EXCEEDED" });
    const ctx = await handler.promise;
    await expect.poll(() => ctx.signal.aborted).toBe(true);
    expect(ctx.signal.reason).toMatchObject({ code: "DEADLINE_EXCEEDED" });
  });

  test("a call made for another one inherits its deadline and its end", async () => {
    const inner = Promise.withResolvers<CallContext>();
    await using backend = await echo({ one: waiting(inner) });
    await using service = await echo({
      one: unary((req, parent) =>
        call(backend.client, backend.client.one, req, { timeoutMs: 60_000, parent }),
      ),
    });
    const abort = new AbortController();

    const outcome = failure(
      call(service.client, service.client.one, { text: "" }, { timeoutMs: 1_500, signal: abort.signal }),
    );
    const ctx = await inner.promise;
    const left = remainingMs(ctx);
    abort.abort();

    expect(left).toBeLessThanOrEqual(1_500);
    expect(left).toBeGreaterThan(0);
    await outcome;
    await expect.poll(() => ctx.signal.aborted).toBe(true);
  });

  test("a call whose parent or signal has ended already is never made", async () => {
    let calls = 0;
    await using service = await echo({
      one: unary((req) => {
        calls++;
        return req;
      }),
    });
    const scope = { ...soon, signal: AbortSignal.abort(new Fault("UNAVAILABLE", "GOING", "going")) };

    const error = await failure(call(service.client, service.client.one, { text: "" }, scope));

    expect(error.reason).toBe("GOING");
    expect(calls).toBe(0);
  });

  test("a call leaves no listener behind on the signal it was bound to", async () => {
    await using service = await echo({ one: unary((req) => req) });
    const { signal } = new AbortController();

    await call(service.client, service.client.one, { text: "" }, { ...soon, signal });
    await drain(openStream(service.client, service.client.down, { text: "" }, { ...soon, signal })).catch(
      () => {},
    );

    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  test("a deadline beyond 24.8 days is cut to what the server can count, not over at once", async () => {
    const days = (ms: number) => Math.round(ms / 86_400_000);
    await using service = await echo({ one: unary((_, ctx) => ({ text: String(days(remainingMs(ctx))) })) });

    const answer = await call(
      service.client,
      service.client.one,
      { text: "" },
      { timeoutMs: 40 * 86_400_000 },
    );

    expect(answer.text).toBe("20");
  });
});

describe("streams", () => {
  test("a server stream asks its generator for more only when the reader has taken what there is", async () => {
    let produced = 0;
    const handler = Promise.withResolvers<CallContext>();
    await using service = await echo({
      down: serverStream(async function* (_, ctx) {
        handler.resolve(ctx);
        for (; produced < 5_000; produced++) yield { text: "x".repeat(65_536) };
      }),
    });
    const stream = service.client.down({ text: "" });
    const reader = stream[Symbol.asyncIterator]();

    await reader.next();
    const { call: served } = await handler.promise;
    await expect.poll(() => Reflect.get(served, "writableNeedDrain")).toBe(true);

    expect(produced).toBeLessThan(500);
    stream.on("error", () => {});
    stream.cancel();
  });

  test.each(["openStream", "messages"])("leaving the loop of %s ends the call at the server", async (how) => {
    const ended = Promise.withResolvers<unknown>();
    await using service = await echo({
      down: serverStream(async function* (_, ctx) {
        try {
          for (let i = 0; ; i++) {
            yield { text: String(i) };
            if (i > 2) await pending(ctx.signal);
          }
        } finally {
          ended.resolve(ctx.signal.reason);
        }
      }),
    });
    const { client } = service;
    const source =
      how === "openStream"
        ? openStream(client, client.down, { text: "" }, forever)
        : messages(client.down({ text: "" }));

    for await (const _ of source) break;

    expect(await ended.promise).toMatchObject({ code: "CANCELLED" });
  });

  test("a client stream's handler may answer before it has read everything", async () => {
    await using service = await echo({
      up: clientStream(async (requests) => {
        for await (const { text } of requests) if (text === "2") break;
        return { text: "enough" };
      }),
    });

    const answer = await upload(service.client, service.client.up, count(1_000_000), soon);

    expect(answer.text).toBe("enough");
  });

  test("an upload stops sending when it is refused", async () => {
    let sent = 0;
    await using service = await echo({
      up: clientStream(() => Promise.reject(new Fault("PERMISSION_DENIED", "NO", "no"))),
    });
    const endless = async function* () {
      for (; ; sent++) yield { text: "x".repeat(65_536) };
    };

    const error = await failure(upload(service.client, service.client.up, endless(), soon));

    expect(error.reason).toBe("NO");
    expect(sent).toBeLessThan(1_000);
  });

  test("an upload that is refused does not wait for a source that has stopped", async () => {
    await using service = await echo({
      up: clientStream(() => Promise.reject(new Fault("PERMISSION_DENIED", "NO", "no"))),
    });
    const hanging = async function* () {
      yield { text: "" };
      await new Promise(() => {});
    };

    const error = await failure(upload(service.client, service.client.up, hanging(), forever));

    expect(error.reason).toBe("NO");
  });

  test("an upload whose source fails is cancelled and fails with the source's error", async () => {
    const handler = Promise.withResolvers<CallContext>();
    await using service = await echo({
      up: clientStream(async (requests, ctx) => {
        handler.resolve(ctx);
        for await (const _ of requests);
        return { text: "" };
      }),
    });
    const source = async function* () {
      yield { text: "" };
      await handler.promise;
      throw new Error("disk gone");
    };

    await expect(upload(service.client, service.client.up, source(), soon)).rejects.toThrow("disk gone");

    const ctx = await handler.promise;
    await expect.poll(() => ctx.signal.aborted).toBe(true);
  });

  test("an upload sums up everything it was sent", async () => {
    await using service = await echo({
      up: clientStream(async (requests) => {
        let total = 0;
        for await (const { text } of requests) total += Number(text);
        return { text: String(total) };
      }),
    });

    const answer = await upload(service.client, service.client.up, count(2_000), soon);

    expect(answer.text).toBe("1999000");
  });

  test("a bidirectional stream carries both ways and ends when the handler does", async () => {
    await using service = await echo({
      both: bidiStream(async function* (requests) {
        for await (const { text } of requests) yield { text: text.toUpperCase() };
      }),
    });
    const duplex = openDuplex(service.client, service.client.both, soon);
    const got: string[] = [];

    await duplex.write({ text: "a" });
    for await (const { text } of duplex.messages) {
      got.push(text);
      if (text === "A") await duplex.write({ text: "b" });
      else duplex.end();
    }

    expect(got).toEqual(["A", "B"]);
  });

  test("a bidirectional handler may go on answering after it has stopped reading", async () => {
    await using service = await echo({
      both: bidiStream(async function* (requests) {
        for await (const _ of requests) break;
        yield { text: "one" };
        yield { text: "two" };
      }),
    });
    const duplex = openDuplex(service.client, service.client.both, soon);
    const got: string[] = [];

    await duplex.write({ text: "a" });
    for await (const { text } of duplex.messages) got.push(text);

    expect(got).toEqual(["one", "two"]);
  });

  test("a bidirectional handler that waits for requests is woken when the caller goes", async () => {
    const begun = Promise.withResolvers<void>();
    const woken = Promise.withResolvers<unknown>();
    await using service = await echo({
      // biome-ignore lint/correctness/useYield: it never gets that far
      both: bidiStream(async function* (requests) {
        try {
          for await (const _ of requests) begun.resolve();
        } catch (err) {
          woken.resolve(err);
        }
      }),
    });
    const duplex = openDuplex(service.client, service.client.both, forever);
    await duplex.write({ text: "a" });
    await begun.promise;

    duplex.cancel();

    expect(await woken.promise).toMatchObject({ code: "CANCELLED" });
    await failure(duplex.write({ text: "b" }));
  });

  test("writing to a bidirectional stream that the server has ended fails with the server's fault", async () => {
    await using service = await echo({
      both: bidiStream(() => {
        throw new Fault("FAILED_PRECONDITION", "NOT_NOW", "not now");
      }),
    });
    const duplex = openDuplex(service.client, service.client.both, soon);

    const read = await failure(drain(duplex.messages));
    const written = await failure(duplex.write({ text: "a" }));

    expect(read.reason).toBe("NOT_NOW");
    expect(written.reason).toBe("NOT_NOW");
  });

  test("a fault that came before anybody read from the bidirectional stream is not lost", async () => {
    await using service = await echo({
      both: bidiStream(() => {
        throw new Fault("FAILED_PRECONDITION", "NOT_NOW", "not now");
      }),
    });
    const duplex = openDuplex(service.client, service.client.both, soon);
    const writeFails = () =>
      duplex.write({ text: "" }).then(
        () => false,
        () => true,
      );
    await expect.poll(writeFails).toBe(true);

    expect((await failure(drain(duplex.messages))).reason).toBe("NOT_NOW");
  });

  test("writing to a bidirectional stream that has ended well fails", async () => {
    await using service = await echo({
      both: bidiStream(async function* () {
        yield { text: "all there is" };
      }),
    });
    const duplex = openDuplex(service.client, service.client.both, soon);

    await drain(duplex.messages);

    expect((await failure(duplex.write({ text: "" }))).reason).toBe("STREAM_ENDED");
  });

  test("everything works over a unix socket too", async () => {
    const folder = temporaryFolder("rpc");
    try {
      await using service = await echo({ one: unary((req) => req) }, { address: `unix:${folder.path}/s` });

      expect(await call(service.client, service.client.one, { text: "hi" }, soon)).toEqual({ text: "hi" });
    } finally {
      folder.remove();
    }
  });
});

function invoke({ client }: Echo, shape: "one" | "down" | "up" | "both"): Promise<unknown> {
  switch (shape) {
    case "one":
      return call(client, client.one, { text: "" }, soon);
    case "down":
      return drain(openStream(client, client.down, { text: "" }, soon));
    case "up":
      return upload(client, client.up, count(1), soon);
    case "both":
      return drain(openDuplex(client, client.both, soon).messages);
  }
}

async function failure(promise: Promise<unknown>): Promise<Fault> {
  const error = await promise.then(
    () => undefined,
    (err: unknown) => err,
  );
  if (error instanceof Fault) return error;
  throw new Error("expected a fault", { cause: error });
}

/** Hands out its context and then waits for the end. */
function waiting(handler: { resolve(ctx: CallContext): void }): grpc.handleUnaryCall<Text, Text> {
  return unary((_, ctx) => {
    handler.resolve(ctx);
    return pending(ctx.signal);
  });
}

function pending(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

async function drain(source: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of source);
}

async function* count(to: number): AsyncGenerator<Text> {
  for (let i = 0; i < to; i++) yield { text: String(i) };
}
