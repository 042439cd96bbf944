import { describe, expect, test } from "vitest";
import { echo, failure, pending } from "../../../../test/support/net/echo.ts";
import { temporaryFolder } from "../../../../test/support/temporary.ts";
import { createLogger } from "../../runtime/log.ts";
import { openDuplex } from "../calls/duplex.ts";
import { call, openStream } from "../client.ts";
import { bidiStream, type CallContext, serverStream, unary } from "./rpc.ts";

createLogger("test", { write: () => {} });

const soon = { timeoutMs: 15_000 };
const forever = { timeoutMs: Number.POSITIVE_INFINITY };

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

  test("leaving the loop of openStream ends the call at the server", async () => {
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

    for await (const _ of openStream(client, client.down, { text: "" }, forever)) break;

    expect(await ended.promise).toMatchObject({ code: "CANCELLED" });
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
