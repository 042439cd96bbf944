import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { afterEach, beforeEach, expect, test } from "vitest";
import { listen } from "../../../src/lib/runtime/listen.ts";
import { Client, TestProxy } from "./fixture.ts";

let proxy: TestProxy;

beforeEach(async () => {
  proxy = await TestProxy.start();
});
afterEach(() => proxy.close());

const WEBSOCKET = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const ASK = "GET /chat HTTP/1.1\r\nHost: ws.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/** Starts a program that changes to a protocol that says everything back. */
async function startEcho(): Promise<{ ended: () => boolean }> {
  let hasEnded = false;
  const server = createServer((_req, res) => res.writeHead(200).end("no change"));
  server.on("upgrade", (req, socket, head) => {
    socket.on("error", () => {});
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Path: ${req.url}\r\n\r\nhello `,
    );
    socket.write(head);
    socket.pipe(socket);
    socket.on("end", () => {
      hasEnded = true;
    });
  });
  const port = await listen(server, "127.0.0.1:0", "PROGRAM");
  proxy.stack.add("program", () => server.closeAllConnections());
  const wake = { path: "cold", queueMs: 1, startMs: 2, readyMs: 3, traceId: "" };
  await proxy.app("ws", [{ id: "ws", port }], { wake });
  return { ended: () => hasEnded };
}

test("a WebSocket passes both ways, holds one place, and ends at both sides", async () => {
  const program = await startEcho();
  const client = new Client(proxy.port);

  client.write(ASK);
  await expect.poll(() => client.text).toContain("hello ");
  expect(client.text).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
  expect(client.text).toContain("X-Path: /chat");
  expect(client.text).toContain("x-windhover-start: path=cold; queue=1ms; start=2ms; ready=3ms\r\n");
  expect(client.text.match(/^connection: Upgrade\r$/gim)?.length).toBe(1);
  await expect.poll(() => proxy.router.held).toBe(1);
  client.write("one two");
  await expect.poll(() => client.text).toContain("hello one two");

  client.socket.end();

  await expect.poll(() => program.ended()).toBe(true);
  await expect.poll(() => client.isClosed).toBe(true);
  await expect.poll(() => proxy.router.held).toBe(0);
  expect(proxy.router.mostReleases).toBe(1);
});

test("a browser's WebSocket opens, hears, and closes", async () => {
  const server = createServer();
  server.on("upgrade", (req, socket) => {
    const accept = createHash("sha1")
      .update(`${req.headers["sec-websocket-key"]}${WEBSOCKET}`)
      .digest("base64");
    const lines = ["Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${accept}`];
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join("\r\n")}\r\n\r\n`);
    // A text, and then the end: RFC 6455 section 5.2.
    socket.write(Buffer.from([0x81, 2, 0x68, 0x69]));
    socket.on("error", () => {}).once("data", () => socket.end(Buffer.from([0x88, 2, 0x03, 0xe8])));
  });
  const port = await listen(server, "127.0.0.1:0", "PROGRAM");
  proxy.stack.add("program", () => server.closeAllConnections());
  // Not every machine knows names below localhost.
  await proxy.app("ws", [{ id: "ws", port }], { hostname: "127.0.0.1" });
  const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/`);
  let [heard, code] = ["", 0];
  socket.addEventListener("message", ({ data }) => {
    heard = String(data);
    socket.send("bye");
  });
  socket.addEventListener("close", (event) => {
    code = event.code;
  });

  await expect.poll(() => code).toBe(1000);
  expect(heard).toBe("hi");
  await expect.poll(() => proxy.router.held).toBe(0);
});

test("what a client sends with its request arrives after the change", async () => {
  await startEcho();
  const client = new Client(proxy.port);

  client.write(`${ASK}early`);

  await expect.poll(() => client.text).toContain("hello early");
  client.socket.destroy();
});

test("a change that the program refuses is answered as it answers", async () => {
  await proxy.app("ws", (_req, res) => res.writeHead(403, { "x-why": "no" }).end("x".repeat(300_000)));

  const text = await proxy.talk(ASK);

  expect(text).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
  expect(text).toContain("x-why: no");
  expect(text.split("\r\n\r\n")[1]?.replace(/[^x]/g, "").length).toBe(300_000);
  await expect.poll(() => proxy.router.held).toBe(0);
});

test("a change that finds no machine is answered with the error", async () => {
  await proxy.app("ws", []);

  const text = await proxy.talk(ASK);

  expect(text).toContain("503 Service Unavailable");
  expect(text).toContain("NO_MACHINE");
});

test("a client that leaves before the change waits no more, however it leaves", async () => {
  let waiting = 0;
  await proxy.app("ws", [], {
    admit: (_ask, signal) => {
      waiting += 1;
      return new Promise((_, reject) =>
        signal.addEventListener("abort", () => {
          waiting -= 1;
          reject(signal.reason);
        }),
      );
    },
  });
  const [polite, rude] = [new Client(proxy.port), new Client(proxy.port)];

  polite.write(ASK);
  rude.write(ASK);
  await expect.poll(() => waiting).toBe(2);
  polite.socket.end();
  rude.socket.resetAndDestroy();

  await expect.poll(() => waiting).toBe(0);
});

test("a machine that is killed ends its WebSockets", async () => {
  await startEcho();
  const client = new Client(proxy.port);
  client.write(ASK);
  await expect.poll(() => client.text).toContain("hello ");

  proxy.router.gone.get("ws")?.abort();

  await expect.poll(() => client.isClosed).toBe(true);
  await expect.poll(() => proxy.router.held).toBe(0);
});

test("an offer of h2c is passed over, and the request served as it is", async () => {
  await startEcho();

  const text = await proxy.talk(
    "GET / HTTP/1.1\r\nHost: ws.localhost\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAA\r\n\r\n",
  );

  expect(text).toContain("200 OK");
  expect(text).toContain("no change");
});

test("a body that the program refuses with its head is not asked for", async () => {
  const { createServer: make } = await import("node:http");
  const server = make();
  server.on("checkContinue", (_req, res) => res.writeHead(401, { connection: "close" }).end("who are you?"));
  const port = await listen(server, "127.0.0.1:0", "PROGRAM");
  proxy.stack.add("program", () => server.closeAllConnections());
  await proxy.app("up", [{ id: "up", port }]);
  const client = new Client(proxy.port);

  client.write("PUT / HTTP/1.1\r\nHost: up.localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");

  await expect.poll(() => client.text).toContain("who are you?");
  expect(client.text).toMatch(/^HTTP\/1\.1 401/);
  expect(client.text).not.toContain("100 Continue");
  client.socket.destroy();
});

test("a body that the program asks for is sent", async () => {
  await proxy.app("up", (req, res) => {
    req.on("data", (chunk) => res.write(`got ${chunk}`)).on("end", () => res.end());
  });
  const client = new Client(proxy.port);

  client.write("PUT / HTTP/1.1\r\nHost: up.localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  await expect.poll(() => client.text).toBe("HTTP/1.1 100 Continue\r\n\r\n");
  client.write("hello");

  await expect.poll(() => client.text).toContain("got hello");
  client.socket.destroy();
});
