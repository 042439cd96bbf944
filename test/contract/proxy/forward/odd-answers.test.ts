import http2 from "node:http2";
import type { Socket } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { listen } from "../../../../src/lib/runtime/listen.ts";
import { TestProxy } from "../fixture.ts";

let proxy: TestProxy;
let client: http2.ClientHttp2Session;

beforeEach(async () => {
  proxy = await TestProxy.start();
  client = http2.connect(`http://127.0.0.1:${proxy.port}`);
  client.on("error", () => {});
});
afterEach(async () => {
  client.destroy();
  await proxy.close();
});

const GET = "GET / HTTP/1.1\r\nHost: app.localhost\r\nConnection: close\r\n\r\n";

/** Makes an app that answers every request with these bytes. Returns its connections. */
async function answers(...lines: readonly string[]): Promise<Set<Socket>> {
  const open = new Set<Socket>();
  const machine = await proxy.rawMachine((socket) => {
    open.add(socket);
    for (const event of ["end", "close"]) socket.once(event, () => open.delete(socket));
    socket.once("data", () => socket.write(lines.join("\r\n"), "latin1"));
  });
  await proxy.app("app", [machine]);
  return open;
}

/** Asks by HTTP/2. Returns status, raw headers in turn, body and raw trailers. */
async function ask() {
  const stream = client.request({ ":authority": "app.localhost", ":path": "/" });
  const early: string[][] = [];
  let trailers: string[] = [];
  stream.on("headers", (_headers, _flags, raw: string[] = []) => early.push(raw));
  stream.on("trailers", (_headers, _flags, raw: string[] = []) => {
    trailers = raw;
  });
  const head = new Promise<[number, string[]]>((resolve, reject) =>
    stream
      .once("response", (headers, _flags, raw: string[] = []) => resolve([headers[":status"] ?? 0, raw]))
      .once("error", reject),
  );
  const [[status, headers], body] = await Promise.all([head, text(stream)]);
  return { status, headers, body, early, trailers };
}

describe("a header that should be there once and is there twice passes by HTTP/2", () => {
  test("in the head", async () => {
    await answers(
      ...["HTTP/1.1 200 OK", "X-Content-Type-Options: nosniff", "X-Content-Type-Options: nosniff"],
      ...["Content-Length: 2", "", "ok"],
    );

    const { status, headers, body } = await ask();

    expect([status, body]).toEqual([200, "ok"]);
    expect(headers.filter((each) => each === "x-content-type-options")).toHaveLength(2);
  });

  test("in trailers", async () => {
    await answers(
      ...["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "", "2", "ok", "0", "ETag: a", "ETag: b", "", ""],
    );

    const { status, trailers } = await ask();

    expect([status, trailers]).toEqual([200, ["etag", "a", "etag", "b"]]);
  });

  test("in an informational answer", async () => {
    await answers(
      ...[
        "HTTP/1.1 103 Early Hints",
        "Age: 1",
        "Age: 2",
        "",
        "HTTP/1.1 200 OK",
        "Content-Length: 2",
        "",
        "ok",
      ],
    );

    const { status, early } = await ask();

    expect([status, early]).toEqual([200, [[":status", "103", "age", "1", "age", "2"]]]);
  });

  test("to a program of HTTP/2, in headers and trailers", async () => {
    const seen: string[][] = [];
    const server = http2.createServer({ strictSingleValueFields: false });
    const sessions: http2.ServerHttp2Session[] = [];
    server.on("session", (session) => sessions.push(session));
    server.on("stream", (stream, _headers, _flags, raw: string[] = []) => {
      seen.push(raw);
      stream.on("trailers", (_trailers, _more, fields: string[] = []) => seen.push(fields));
      stream.resume().on("end", () => {
        stream.respond({ ":status": 200 });
        stream.end("ok");
      });
    });
    const port = await listen(server, "127.0.0.1:0", "PROGRAM");
    proxy.stack.add("program", () => {
      for (const session of sessions) session.destroy();
    });
    await proxy.app("app", [{ id: "m1", port }], { service: { http: { h2Backend: true } } });

    const answer = await proxy.talk(
      `POST / HTTP/1.1\r\nHost: app.localhost\r\nConnection: close\r\nIf-None-Match: a\r\nIf-None-Match: b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nAge: 1\r\nAge: 2\r\n\r\n`,
    );

    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(seen[0]?.filter((each) => each === "if-none-match")).toHaveLength(2);
    expect(seen[1]).toEqual(["age", "1", "age", "2"]);
  });
});

describe("a program that changes the protocol though nobody has asked for it is answered 502", () => {
  test.each([
    [
      "with the headers for it",
      ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: x", "", "x"],
    ],
    ["without", ["HTTP/1.1 101 Switching Protocols", "", ""]],
  ])("%s", async (_, lines) => {
    const open = await answers(...lines);

    const first = await proxy.talk(GET);
    const { status } = await ask();

    expect(first).toMatch(/^HTTP\/1\.1 502 [\s\S]*x-windhover-error: UNREACHABLE/);
    expect(status).toBe(502);
    await expect.poll(() => [open.size, proxy.router.held]).toEqual([0, 0]);
  });
});

test("an answer that cannot be passed on as it is becomes one of the proxy, and not a broken connection", async () => {
  await answers("HTTP/1.1 099 What", "Content-Length: 0", "", "");

  const first = await proxy.talk(GET);
  const { status } = await ask();

  expect(first).toMatch(/^HTTP\/1\.1 502 /);
  expect(status).toBe(502);
});

test("a reason that nobody may write is left out", async () => {
  await answers("HTTP/1.1 200 O\x01K", "Content-Length: 2", "", "ok");

  expect(await proxy.talk(GET)).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*ok$/);
});

test("an answer without a body that names a length of one passes by HTTP/2", async () => {
  await answers("HTTP/1.1 204 No Content", "Content-Length: 2", "", "");

  expect(await ask()).toMatchObject({ status: 204, body: "" });
});

test("a client that has left hears no more hints, and nothing breaks", async () => {
  let hints: NodeJS.Timeout | undefined;
  const machine = await proxy.rawMachine((socket) => {
    // It reads nothing: the client's body is held up.
    socket.pause();
    hints = setInterval(() => socket.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), 1);
    socket.on("close", () => clearInterval(hints));
  });
  await proxy.app("app", [machine]);
  const stream = client.request({ ":method": "POST", ":authority": "app.localhost", ":path": "/" });
  stream.on("error", () => {});
  const hinted = new Promise((resolve) => stream.once("headers", resolve));
  stream.write(Buffer.alloc(8 * 1024 * 1024));
  await hinted;
  await expect.poll(() => proxy.router.held).toBe(1);

  stream.close(http2.constants.NGHTTP2_CANCEL);

  await expect.poll(() => proxy.router.held).toBe(0);
});

test("a client that does not take the rest of an answer is given up after the idle timeout", async () => {
  await proxy.app("app", (_req, res) => res.end("ok"), { service: { http: { idleTimeoutMs: 200 } } });
  const closed = http2.connect(`http://127.0.0.1:${proxy.port}`, { settings: { initialWindowSize: 0 } });
  closed.on("error", () => {});
  const stream = closed.request({ ":authority": "app.localhost", ":path": "/" });
  stream.on("error", () => {});
  const ended = new Promise((resolve) => stream.once("close", () => resolve(stream.rstCode)));

  expect(await ended).toBe(http2.constants.NGHTTP2_INTERNAL_ERROR);
  await expect.poll(() => proxy.router.held).toBe(0);
  closed.destroy();
});
