import http2 from "node:http2";
import { buffer, text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { listen } from "../../../src/lib/runtime/listen.ts";
import { ProxyError } from "../../../src/proxy/proxy-error.ts";
import { Client, TestProxy, unusedPort } from "./fixture.ts";

let proxy: TestProxy;

beforeEach(async () => {
  proxy = await TestProxy.start();
});
afterEach(() => proxy.close());

const dead = async (id: string) => ({ id, port: await unusedPort() });

test("a machine that refuses is said to have, and another gets the request with its body", async () => {
  const alive = await proxy.machine(async (req, res) => res.end(await text(req)), { id: "alive" });
  await proxy.app("app", [await dead("dead"), alive]);

  const answer = await proxy.fetch("app.localhost", "/", { method: "POST", body: "hello" });

  expect(answer.body).toBe("hello");
  expect(proxy.router.refused).toEqual(["dead"]);
  expect([...(proxy.router.asks[1]?.avoid ?? [])]).toEqual(["dead"]);
  await expect.poll(() => proxy.router.held).toBe(0);
  expect(proxy.router.mostReleases).toBe(1);
});

test.each([
  ["HTTP/1.1", false],
  ["HTTP/2", true],
] as const)(
  "a machine of %s that refuses takes nothing of a body, however little memory there is to keep it",
  async (_, h2Backend) => {
    const tight = await TestProxy.start({ keepBytes: 1_000 });
    const http = { h2Backend };
    const taken = (req: AsyncIterable<Buffer>) => buffer(req).then(({ length }) => `${length}`);
    const refusing = { id: "refusing", port: await unusedPort() };
    const server = http2.createServer(async (req, res) => res.end(await taken(req)));
    const port = await listen(server, "127.0.0.1:0", "PROGRAM");
    const taking = h2Backend
      ? { id: "taking", port }
      : await tight.machine(async (req, res) => res.end(await taken(req)));
    await tight.app("app", [refusing, taking], { service: { http } });

    const answer = await tight.fetch("app.localhost", "/", { method: "POST", body: "x".repeat(500_000) });

    expect(answer.body).toBe("500000");
    await tight.close();
    server.close();
  },
);

test("a program that begins to listen a little later gets the request", async () => {
  const port = await unusedPort();
  await proxy.app("app", [{ id: "late", port }]);

  const answer = proxy.fetch("app.localhost");
  await expect.poll(() => proxy.router.refused.length).toBeGreaterThan(2);
  const late = await proxy.machine((_req, res) => res.end("here I am"));
  Object.assign(proxy.router.apps[0]?.machines[0] ?? {}, { port: late.port });

  expect((await answer).body).toBe("here I am");
});

test("a machine that refuses for as long as a wake may take is answered 502", async () => {
  await proxy.app("app", [await dead("dead")], { service: { wakeTimeoutMs: 100 } });

  const answer = await proxy.fetch("app.localhost");

  expect(answer.status).toBe(502);
  expect(answer.headers.get("x-windhover-error")).toBe("UNREACHABLE");
  expect(answer.body).toContain("machine dead of app refuses connections");
});

test("a connection that breaks without an answer is tried elsewhere, when that does no harm", async () => {
  const broken = await proxy.rawMachine(
    (socket) => socket.once("data", () => socket.resetAndDestroy()),
    "broken",
  );
  const alive = await proxy.machine((_req, res) => res.end("fine"), { id: "alive" });
  await proxy.app("app", [broken, alive]);

  const get = await proxy.fetch("app.localhost");
  const post = await proxy.fetch("app.localhost", "/", { method: "POST", body: "once only" });

  expect(get.body).toBe("fine");
  expect(post.status).toBe(502);
  expect(post.headers.get("x-windhover-error")).toBe("UNREACHABLE");
});

test("a request that breaks programs is not tried on all of them", async () => {
  let tries = 0;
  const machines = await Promise.all(
    ["a", "b", "c", "d", "e"].map((id) =>
      proxy.rawMachine((socket) => {
        tries += 1;
        socket.once("data", () => socket.destroy());
      }, id),
    ),
  );
  await proxy.app("app", machines);

  const answer = await proxy.fetch("app.localhost");

  expect(answer.status).toBe(502);
  expect(tries).toBe(3);
});

test("a kept connection that the program closes meanwhile costs no request", async () => {
  let connections = 0;
  const machine = await proxy.rawMachine((socket) => {
    connections += 1;
    let answers = 0;
    socket.on("data", () => {
      answers += 1;
      // The second request on a connection finds it closed.
      if (answers > 1) socket.destroy();
      else socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    });
  });
  await proxy.app("app", [machine]);

  const bodies = [];
  for (let count = 0; count < 5; count++) bodies.push((await proxy.fetch("app.localhost")).body);

  expect(bodies).toEqual(["ok", "ok", "ok", "ok", "ok"]);
  expect(connections).toBeGreaterThan(1);
});

test("an answer that breaks off reaches the client broken off", async () => {
  const machine = await proxy.rawMachine((socket) => {
    socket.once("data", () => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart", () => socket.destroy());
    });
  });
  await proxy.app("app", [machine]);
  const client = new Client(proxy.port);

  client.write("GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\n");

  await expect.poll(() => client.isClosed).toBe(true);
  expect(client.text).toContain("part");
  await expect.poll(() => proxy.router.held).toBe(0);
});

test.each([
  ["is not HTTP", "SSH-2.0-OpenSSH\r\n", "HPE_"],
  ["has two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", "HPE_"],
  [
    "is coded",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    "ERR_TRANSFER",
  ],
])("an answer that %s is answered 502, with what is wrong", async (_, bytes, code) => {
  const machine = await proxy.rawMachine((socket) => socket.end(bytes));
  await proxy.app("app", [machine]);

  const answer = await proxy.fetch("app.localhost");

  expect(answer.status).toBe(502);
  expect(answer.headers.get("x-windhover-error")).toBe("UNREACHABLE");
  expect(answer.body).toContain(code);
});

test("a machine that is killed under a request is left for another", async () => {
  let isAsked = false;
  const stuck = await proxy.machine(
    () => {
      isAsked = true;
    },
    { id: "stuck" },
  );
  const alive = await proxy.machine((_req, res) => res.end("fine"), { id: "alive" });
  await proxy.app("app", [stuck, alive]);

  const answer = proxy.fetch("app.localhost");
  await expect.poll(() => isAsked).toBe(true);
  proxy.router.gone.get("stuck")?.abort();

  expect((await answer).body).toBe("fine");
});

test("what the choice of a machine refuses is told with its code and when to ask again", async () => {
  await proxy.app("full", [], {
    admit: () => Promise.reject(new ProxyError("QUEUE_FULL", "too many wait", { retryAfterS: 7 })),
  });

  const answer = await proxy.fetch("full.localhost");

  expect(answer.status).toBe(503);
  expect(answer.headers.get("retry-after")).toBe("7");
  expect(JSON.parse(answer.body)).toEqual({ error: "too many wait", code: "QUEUE_FULL" });
});

test("a program that is silent is given up after the idle timeout, and so is a client", async () => {
  await proxy.app("silent", () => {}, { service: { http: { idleTimeoutMs: 100 } } });

  const program = await proxy.fetch("silent.localhost");
  const client = await proxy.talk(
    "POST / HTTP/1.1\r\nHost: silent.localhost\r\nConnection: close\r\nContent-Length: 10\r\n\r\nhalf",
  );

  expect(program.status).toBe(504);
  expect(program.headers.get("x-windhover-error")).toBe("UPSTREAM_TIMEOUT");
  expect(client).toContain("408 Request Timeout");
  expect(client).toContain("CLIENT_TIMEOUT");
  await expect.poll(() => proxy.router.held).toBe(0);
});
