import { describe, expect, test } from "vitest";
import { count, drain, echo, failure, pending } from "../../../test/support/echo.ts";
import { temporaryFolder } from "../../../test/support/temporary.ts";
import { Fault } from "../runtime/fault.ts";
import { createLogger } from "../runtime/log.ts";
import { call, messages, openDuplex, openStream, upload } from "./client.ts";
import { bidiStream, type CallContext, clientStream, serverStream, unary } from "./rpc.ts";

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
