import { existsSync } from "node:fs";
import { createServer as createTcpServer } from "node:net";
import { afterAll, expect, test } from "vitest";
import { addEcho, drain, EchoClient, echo, failure } from "../../../../test/support/net/echo.ts";
import { framed } from "../../../../test/support/net/flood.ts";
import { beginCall, openSession } from "../../../../test/support/net/raw-call.ts";
import { temporaryFolder } from "../../../../test/support/temporary.ts";
import { HealthClient } from "../../../gen/grpc/health/v1/health.ts";
import { Stack } from "../../runtime/lifecycle.ts";
import { createLogger } from "../../runtime/log.ts";
import { addHealth, Health } from "../builtin/health.ts";
import { openDuplex } from "../calls/duplex.ts";
import { call, connect, openStream } from "../client.ts";
import { bidiStream, serverStream, unary } from "./rpc.ts";
import { createServer, serve } from "./serve.ts";

const lines: Record<string, unknown>[] = [];
createLogger("test", { write: (line) => lines.push(JSON.parse(line)) });

const folder = temporaryFolder("serve");
afterAll(() => folder.remove());

const soon = { timeoutMs: 15_000 };
const forever = { timeoutMs: Number.POSITIVE_INFINITY };

test("a taken port is a fault that names the address and the variable to set", async () => {
  await using first = await echo({});

  const error = await failure(serve(createServer(), first.address, 100, undefined, "API_LISTEN"));

  expect(error).toMatchObject({
    code: "FAILED_PRECONDITION",
    reason: "ADDRESS_IN_USE",
    message: `${first.address} is in use; set API_LISTEN to another`,
    facts: { address: first.address, variable: "API_LISTEN" },
  });
});

test("an address that is not ours is a fault that says so", async () => {
  const error = await failure(serve(createServer(), "192.0.2.1:0", 100, undefined, "API_LISTEN"));

  expect(error).toMatchObject({ reason: "CANNOT_LISTEN" });
  expect(error.message).toContain("192.0.2.1:0 (API_LISTEN)");
});

test("a socket file left behind by a killed process is replaced, one in use is not", async () => {
  const path = `${folder.path}/s`;
  await leaveSocketBehind(path);

  await using first = await echo({ one: unary((req) => req) }, { address: `unix:${path}` });
  const second = await failure(serve(createServer(), `unix:${path}`, 100));

  expect(await call(first.client, first.client.one, { text: "hi" }, soon)).toEqual({ text: "hi" });
  expect(second.reason).toBe("ADDRESS_IN_USE");
});

test("on shutdown streams end with UNAVAILABLE at once, even when their handlers do not heed the signal", async () => {
  const began = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
  await using service = await echo(
    {
      down: serverStream(async function* () {
        began[0].resolve();
        yield { text: "" };
        await new Promise(() => {});
      }),
      both: bidiStream(async function* (requests) {
        began[1].resolve();
        for await (const { text } of requests) yield { text };
      }),
    },
    { graceMs: 60_000 },
  );
  const { client } = service;
  const watching = failure(drain(openStream(client, client.down, { text: "" }, forever)));
  const talking = failure(drain(openDuplex(client, client.both, forever).messages));
  await Promise.all(began.map(({ promise }) => promise));

  await service.close();

  expect(await watching).toMatchObject({ code: "UNAVAILABLE", reason: "SERVER_DRAINING" });
  expect(await talking).toMatchObject({ code: "UNAVAILABLE", reason: "SERVER_DRAINING" });
});

test("on shutdown a call and a stream that has an end may finish within the grace", async () => {
  const began = Promise.withResolvers<void>();
  const streaming = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<void>();
  await using service = await echo(
    {
      one: unary(async (req, ctx) => {
        ctx.draining.addEventListener("abort", () => finish.resolve());
        began.resolve();
        await finish.promise;
        return { text: `${req.text} ${ctx.signal.aborted}` };
      }),
      down: serverStream(
        async function* () {
          streaming.resolve();
          await finish.promise;
          yield { text: "end" };
        },
        { onDrain: "finish" },
      ),
    },
    { graceMs: 60_000 },
  );
  const { client } = service;
  const answer = call(client, client.one, { text: "aborted:" }, soon);
  const stream = collect(openStream(client, client.down, { text: "" }, forever));
  await Promise.all([began.promise, streaming.promise]);

  await service.close();

  expect(await answer).toEqual({ text: "aborted: false" });
  expect(await stream).toEqual([{ text: "end" }]);
});

test("what has not finished at the end of the grace is cut off, and the log says so", async () => {
  lines.length = 0;
  const began = Promise.withResolvers<void>();
  await using service = await echo(
    {
      one: unary(() => {
        began.resolve();
        return new Promise(() => {});
      }),
    },
    { graceMs: 50 },
  );
  const outcome = failure(call(service.client, service.client.one, { text: "" }, soon));
  await began.promise;

  await service.close();

  expect((await outcome).code).toMatch(/UNAVAILABLE|CANCELLED/);
  expect(lines).toMatchObject([{ msg: "calls were cut off at the end of the grace", grace_ms: 50 }]);
});

test("health watchers see SERVING, then NOT_SERVING before the server goes", async () => {
  const health = new Health(["test.v1.Echo"]);
  const server = createServer();
  addEcho(server, {});
  addHealth(server, health);
  const close = await serve(server, "127.0.0.1:0", 500, health);
  const client = connect(HealthClient, `127.0.0.1:${close.port}`);
  const seen: number[] = [];

  const end = await failure(
    (async () => {
      for await (const { status } of openStream(client, client.watch, { service: "test.v1.Echo" }, forever)) {
        seen.push(status);
        if (status === 1) void close();
      }
    })(),
  );

  expect(seen).toEqual([1, 2]);
  expect(end.reason).toBe("SERVER_DRAINING");
  await close();
  client.close();
});

test("a header that is not valid is left out, and nothing of it logged", async () => {
  const stack = new Stack();
  lines.length = 0;
  createLogger("test", { level: "debug", write: (line) => lines.push(JSON.parse(line)) });
  await using service = await echo({ one: unary((req) => req) });
  const on = openSession(stack, service.address);

  const authorization = "Bearer canary\u00e9";
  const answer = beginCall(on, "/test.v1.Echo/One", framed(Buffer.alloc(0)), { authorization });

  await expect.poll(() => answer.isClosed).toBe(true);
  await stack.close();
  createLogger("test", { write: (line) => lines.push(JSON.parse(line)) });
  expect(lines).toContainEqual(expect.objectContaining({ msg: expect.stringContaining("left out") }));
  expect(JSON.stringify(lines)).not.toContain("canary");
});

test("a unix socket's file is gone after the shutdown", async () => {
  const path = `${folder.path}/gone`;
  const service = await echo({}, { address: `unix:${path}` });
  const before = existsSync(path);

  await service[Symbol.asyncDispose]();

  expect([before, existsSync(path)]).toEqual([true, false]);
});

test("a server nobody talks to closes at once", async () => {
  const server = createServer();
  addEcho(server, {});
  const close = await serve(server, "127.0.0.1:0", 60_000);
  const client = connect(EchoClient, `127.0.0.1:${close.port}`);

  await expect(close()).resolves.toBeUndefined();

  client.close();
});

/** What `kill -9` leaves: a socket file that nobody listens at. Node removes its own on close, so it is made under another name. */
async function leaveSocketBehind(path: string): Promise<void> {
  const { rename } = await import("node:fs/promises");
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(`${path}.made`, resolve));
  await rename(`${path}.made`, path);
  await new Promise((resolve) => server.close(resolve));
}

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}
