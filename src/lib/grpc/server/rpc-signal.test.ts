import { getEventListeners, once } from "node:events";
import { describe, expect, test } from "vitest";
import { drain, echo, failure, patientCall, waiting } from "../../../../test/support/net/echo.ts";
import { Fault } from "../../faults/fault.ts";
import { createLogger } from "../../runtime/log.ts";
import { call, openStream } from "../client.ts";
import { type CallContext, remainingMs, unary } from "./rpc.ts";

createLogger("test", { write: () => {} });

const soon = { timeoutMs: 15_000 };

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
    using _ = patientCall(service.address, 500);

    const ctx = await handler.promise;
    await expect.poll(() => ctx.signal.aborted).toBe(true);
    expect(ctx.signal.reason).toMatchObject({ code: "DEADLINE_EXCEEDED" });
  });

  test("aborts for a client that gives up at its deadline", async () => {
    const handler = Promise.withResolvers<CallContext>();
    await using service = await echo({ one: waiting(handler) });

    const error = await failure(call(service.client, service.client.one, { text: "" }, { timeoutMs: 2_000 }));

    expect(error).toMatchObject({ code: "DEADLINE_EXCEEDED", reason: "DEADLINE_EXCEEDED" });
    const ctx = await handler.promise;
    await expect.poll(() => ctx.signal.aborted).toBe(true);
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
      call(service.client, service.client.one, { text: "" }, { ...soon, signal: abort.signal }),
    );
    const ctx = await inner.promise;
    const left = remainingMs(ctx);
    abort.abort();

    expect(left).toBeLessThanOrEqual(soon.timeoutMs);
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
