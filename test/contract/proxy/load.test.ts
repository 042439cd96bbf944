import { once } from "node:events";
import http2 from "node:http2";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { listen } from "../../../src/lib/runtime/listen.ts";
import { clearServer } from "../../../src/proxy/http/clear-server.ts";
import { ProxyError } from "../../../src/proxy/proxy-error.ts";
import { Client, TestProxy } from "./fixture.ts";

let proxy: TestProxy;

beforeEach(async () => {
  proxy = await TestProxy.start();
});
afterEach(() => proxy.close());

test("a thousand requests that wait for one machine are all answered", async () => {
  const machine = await proxy.machine((_req, res) => res.end("awake"));
  const { promise: isAwake, resolve: wake } = Promise.withResolvers<void>();
  await proxy.app("asleep", [], {
    admit: async () => {
      await isAwake;
      return machine;
    },
  });

  const answers = Promise.all(Array.from({ length: 1_000 }, () => proxy.fetch("asleep.localhost")));
  await expect.poll(() => proxy.router.asks.length).toBe(1_000);
  wake();

  const bodies = (await answers).map(({ body }) => body);
  expect(new Set(bodies)).toEqual(new Set(["awake"]));
  expect([proxy.router.held, proxy.router.mostReleases]).toEqual([0, 1]);
});

test("one connection to a machine serves request after request", async () => {
  const ports = new Set<number>();
  await proxy.app("app", (req, res) => {
    ports.add(req.socket.remotePort ?? 0);
    res.end("ok");
  });

  for (let count = 0; count < 20; count++) await proxy.fetch("app.localhost");

  expect(ports.size).toBe(1);
});

test("a connection to a machine is not used for another that gets its address", async () => {
  const ports: number[] = [];
  const { port } = await proxy.machine((req, res) => {
    ports.push(req.socket.remotePort ?? 0);
    res.end();
  });
  await proxy.app("first", [{ id: "a", port }]);
  await proxy.app("second", [{ id: "b", port }], { org: "other" });

  await proxy.fetch("first.localhost");
  await proxy.fetch("second.localhost");

  expect(new Set(ports).size).toBe(2);
});

test("a connection of the client serves request after request, with bodies and errors between", async () => {
  await proxy.app("app", async (req, res) => res.end(`[${await text(req)}]`));
  await proxy.app("full", [], { admit: () => Promise.reject(new ProxyError("QUEUE_FULL", "full")) });
  const client = new Client(proxy.port);
  const post = (host: string, body: string) =>
    `POST / HTTP/1.1\r\nHost: ${host}.localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

  client.write(post("app", "one"));
  await expect.poll(() => client.text).toContain("[one]");
  client.write(post("full", "two"));
  await expect.poll(() => client.text).toContain("QUEUE_FULL");
  client.write("POST / HTTP/1.1\r\nHost: app.localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  await expect.poll(() => client.text).toContain("100 Continue");
  client.write("three");
  await expect.poll(() => client.text).toContain("[three]");
  client.write(post("app", "four"));

  await expect.poll(() => client.text).toContain("[four]");
  expect(client.isClosed).toBe(false);
  client.socket.destroy();
});

test("a client that leaves in the middle of its body breaks its request off at the program", async () => {
  let [received, hasBrokenOff] = ["", false];
  await proxy.app("up", (req) => {
    req.on("data", (chunk) => {
      received += chunk;
    });
    req.on("error", () => {
      hasBrokenOff = true;
    });
  });
  const client = new Client(proxy.port);

  client.write("POST / HTTP/1.1\r\nHost: up.localhost\r\nContent-Length: 100\r\n\r\nhalf");
  await expect.poll(() => received).toBe("half");
  client.socket.destroy();

  await expect.poll(() => hasBrokenOff).toBe(true);
  await expect.poll(() => proxy.router.held).toBe(0);
});

test("a client whose body the program does not read has to wait", async () => {
  await proxy.app("deaf", () => {}, { service: { http: { idleTimeoutMs: 3_000 } } });
  const client = connect(proxy.port, "127.0.0.1");
  client.on("error", () => {});
  client.write(`POST / HTTP/1.1\r\nHost: deaf.localhost\r\nContent-Length: ${1024 ** 3}\r\n\r\n`);
  const chunk = Buffer.alloc(64 * 1024);
  const write = () => {
    while (client.write(chunk));
  };
  client.on("drain", write);
  write();

  let before = -1;
  await expect
    .poll(
      () => {
        const isStill = client.bytesWritten > chunk.length && client.bytesWritten === before;
        before = client.bytesWritten;
        return isStill;
      },
      { interval: 200 },
    )
    .toBe(true);

  expect(client.bytesWritten).toBeLessThan(64 * 1024 * 1024);
  client.destroy();
  // Nobody reads from the client, so it is the idle timeout that tells.
  await expect.poll(() => proxy.router.held).toBe(0);
});

test("a program may answer before it has the whole body, and the client sees it", async () => {
  await proxy.app("strict", (_req, res) => {
    res.writeHead(403, { connection: "close" }).end("not that");
  });
  const client = new Client(proxy.port);

  client.write("POST / HTTP/1.1\r\nHost: strict.localhost\r\nContent-Length: 1000000\r\n\r\nbeginning");

  await expect.poll(() => client.text).toContain("not that");
  await expect.poll(() => proxy.router.held).toBe(0);
  await expect.poll(() => client.isClosed).toBe(true);
});

test("a connection to a program that has not taken the whole body is not kept", async () => {
  let [requests, closed] = [0, 0];
  await proxy.app("quick", (req, res) => {
    requests += 1;
    req.socket.once("close", () => {
      closed += 1;
    });
    res.end("enough");
  });
  const client = new Client(proxy.port);

  client.write("POST / HTTP/1.1\r\nHost: quick.localhost\r\nContent-Length: 1000000\r\n\r\nbeginning");

  await expect.poll(() => client.text).toContain("enough");
  await expect.poll(() => [requests, closed]).toEqual([1, 1]);
  // The client still sends, and has its answer.
  await expect.poll(() => client.isClosed).toBe(true);
});

test("the beginning of HTTP/2 may come byte by byte", async () => {
  await proxy.app("app", (_req, res) => res.end("ok"));
  const session = http2.connect("http://app.localhost", {
    createConnection: () => {
      const socket = connect({ port: proxy.port, host: "127.0.0.1", noDelay: true });
      const write = socket._write.bind(socket);
      let isFirst = true;
      socket._write = (chunk, encoding, done) => {
        if (!isFirst || chunk.length < 2) return write(chunk, encoding, done);
        isFirst = false;
        write(chunk.subarray(0, 1), encoding, () => setTimeout(write, 20, chunk.subarray(1), encoding, done));
      };
      return socket;
    },
  });

  const stream = session.request({ ":path": "/" });

  expect(await text(stream)).toBe("ok");
  session.destroy();
});

test("headers of HTTP/2 that are too large end their request, and not the proxy", async () => {
  await proxy.app("app", (_req, res) => res.end("ok"));
  const session = http2.connect(`http://127.0.0.1:${proxy.port}`);
  session.on("error", () => {});
  const headers = Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`x-${at}`, "y".repeat(1_000)]));

  const stream = session.request({ ":path": "/", ":authority": "app.localhost", ...headers });
  stream.on("error", () => {});
  const ended = await Promise.race([
    once(stream, "close").then(() => "closed"),
    once(stream, "response").then(([fields]) => String(fields[":status"])),
  ]);

  expect(["closed", "431", "400"]).toContain(ended);
  expect((await proxy.fetch("app.localhost")).body).toBe("ok");
  session.destroy();
});

test("connections that ask for nothing make room for those that do, and WebSockets stay", async () => {
  const limits = { total: 64, perAddress: 64, newTotal: 8, newPerAddress: 8 };
  const server = clearServer(proxy.http, limits);
  const port = await listen(server, "127.0.0.1:0", "PROXY_LISTEN");
  proxy.stack.add("listener", () => server.close());
  await proxy.app("events", (_req, res) => res.writeHead(200).write("first"));
  const open = Array.from({ length: 20 }, () => new Client(port));
  const asking: Client[] = [];
  for (let count = 0; count < 10; count++) {
    const client = new Client(port);
    client.write("GET / HTTP/1.1\r\nHost: events.localhost\r\n\r\n");
    asking.push(client);
    // The oldest that ask for nothing go once they had their second.
    await expect.poll(() => client.text.includes("first") || client.isClosed).toBe(true);
    if (client.isClosed) count -= 1;
  }

  const served = asking.filter(({ text: received }) => received.includes("first"));
  expect(served.length).toBe(10);
  expect(served.filter(({ isClosed }) => isClosed)).toEqual([]);
  expect(open.filter(({ isClosed }) => isClosed).length).toBeGreaterThan(10);
  for (const each of [...open, ...asking]) each.socket.destroy();
});
