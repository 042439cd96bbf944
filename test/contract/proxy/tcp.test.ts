import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { text } from "node:stream/consumers";
import { connect as connectTls } from "node:tls";
import { afterEach, beforeEach, expect, test } from "vitest";
import { listen } from "../../../src/lib/runtime/listen.ts";
import { createLogger } from "../../../src/lib/runtime/log.ts";
import type { TcpPorts } from "../../../src/proxy/tcp/tcp-ports.ts";
import { type TemporaryFolder, temporaryFolder } from "../../support/temporary.ts";
import { makeCertificate } from "./certificate.ts";
import { Client, TestProxy, unusedPort } from "./fixture.ts";

let proxy: TestProxy;
let ports: TcpPorts;
let port: number;

beforeEach(async () => {
  proxy = await TestProxy.start();
  ports = proxy.startPorts();
  port = await unusedPort();
  await ports.set(new Set([port]));
});
afterEach(() => proxy.close());

const RAW = { handlers: [] };

test("bytes pass both ways, and each direction ends for itself", async () => {
  const machine = await proxy.rawMachine((socket) => {
    // Answers after all has come, by what is left of the connection.
    const hash = createHash("sha256");
    socket.on("data", (chunk) => hash.update(chunk));
    socket.on("end", () => socket.end(hash.digest("hex")));
  });
  await proxy.app("raw", [machine], { port, service: RAW });
  const bytes = randomBytes(4 * 1024 * 1024);
  const client = connect({ port, host: "127.0.0.1", allowHalfOpen: true });

  client.end(bytes);

  expect(await text(client)).toBe(createHash("sha256").update(bytes).digest("hex"));
  expect(proxy.router.asks[0]?.kind).toBe("connection");
  await expect.poll(() => proxy.router.held).toBe(0);
  expect(proxy.router.mostReleases).toBe(1);
});

test("a program that says something first is heard", async () => {
  await proxy.app(
    "raw",
    [
      await proxy.rawMachine((socket) => {
        socket.write("220 hello\r\n");
        socket.on("end", () => socket.end()).resume();
      }),
    ],
    {
      port,
      service: RAW,
    },
  );
  const client = new Client(port);

  await expect.poll(() => client.text).toBe("220 hello\r\n");

  client.socket.destroy();
  await expect.poll(() => proxy.router.held).toBe(0);
});

test("the end of a client that has sent nothing reaches the program, also from before it was started", async () => {
  const started = Promise.withResolvers<void>();
  let hasEnded = false;
  const machine = await proxy.rawMachine((socket) => {
    socket.resume().once("end", () => {
      hasEnded = true;
      socket.end("bye");
    });
  });
  const admit = () => started.promise.then(() => machine);
  await proxy.app("slow", [machine], { port, service: RAW, admit });
  await proxy.app("web", (_req, res) => res.end());
  const client = new Client(port);
  await expect.poll(() => proxy.router.asks).toHaveLength(1);

  client.socket.end();
  // Once this is answered, the end has come too.
  await proxy.fetch("web.localhost");
  started.resolve();

  await expect.poll(() => [hasEnded, client.text, proxy.router.held]).toEqual([true, "bye", 0]);
});

test("a connection that breaks at one side breaks at the other", async () => {
  let reset = () => {};
  let isBroken = false;
  const machine = await proxy.rawMachine((socket) => {
    reset = () => socket.resetAndDestroy();
    socket.on("error", () => {
      isBroken = true;
    });
    socket.on("data", (chunk) => socket.write(chunk));
  });
  await proxy.app("raw", [machine], { port, service: RAW });
  const first = new Client(port);
  let wasReset = false;
  first.socket.on("error", () => {
    wasReset = true;
  });
  first.write("a");
  await expect.poll(() => first.text).toBe("a");
  reset();
  await expect.poll(() => wasReset).toBe(true);

  const second = new Client(port);
  second.write("b");
  await expect.poll(() => second.text).toBe("b");
  second.socket.resetAndDestroy();
  await expect.poll(() => isBroken).toBe(true);
  await expect.poll(() => proxy.router.held).toBe(0);
});

test.each([
  ["v1", "PROXY TCP4 127.0.0.1 127.0.0.1 "],
  ["v2", "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01"],
] as const)(
  "the address of the client is said first, by the PROXY protocol %s",
  async (version, beginning) => {
    let heard = "";
    const machine = await proxy.rawMachine((socket) =>
      socket.on("data", (chunk) => {
        heard += chunk.toString("latin1");
      }),
    );
    await proxy.app("raw", [machine], { port, service: { handlers: ["proxy_proto"], proxyProto: version } });
    const client = new Client(port);

    client.write("hello");

    await expect.poll(() => heard).toMatch(/hello$/);
    expect(heard.slice(0, beginning.length)).toBe(beginning);
    client.socket.destroy();
  },
);

test("a machine that refuses is left for another before a byte is lost", async () => {
  const alive = await proxy.rawMachine((socket) => socket.pipe(socket), "alive");
  await proxy.app("raw", [{ id: "dead", port: await unusedPort() }, alive], { port, service: RAW });
  const client = new Client(port);

  client.write("hello");

  await expect.poll(() => client.text).toBe("hello");
  expect(proxy.router.refused).toEqual(["dead"]);
  client.socket.destroy();
});

test("no machine: the connection is reset, and a port that no service names is not listened at", async () => {
  await proxy.app("raw", [], { port, service: RAW });
  const client = connect(port, "127.0.0.1");
  const [error] = await once(client, "error");
  expect(error.code).toBe("ECONNRESET");

  await ports.set(new Set());

  const late = connect(port, "127.0.0.1");
  const [refused] = await once(late, "error");
  expect(refused.code).toBe("ECONNREFUSED");
});

test("a port that is in use is tried again, and told of once", async () => {
  const lines: string[] = [];
  createLogger("test", { write: (line) => lines.push(line) });
  const other = createServer();
  try {
    const taken = await listen(other, "127.0.0.1:0", "OTHER");
    for (let count = 0; count < 3; count++) await ports.set(new Set([taken]));
    expect(lines.filter((line) => line.includes("cannot be listened at")).length).toBe(1);

    await new Promise((resolve) => other.close(resolve));
    await ports.set(new Set([taken]));

    expect(ports.ports).toEqual([taken]);
  } finally {
    other.close();
    createLogger("test");
  }
});

test("a machine that is killed ends its connections", async () => {
  await proxy.app("raw", [await proxy.rawMachine((socket) => socket.pipe(socket), "killed")], {
    port,
    service: RAW,
  });
  const client = new Client(port);
  client.write("x");
  await expect.poll(() => client.text).toBe("x");

  proxy.router.gone.get("killed")?.abort();

  await expect.poll(() => client.isClosed).toBe(true);
  await expect.poll(() => proxy.router.held).toBe(0);
});

test("HTTP at a port of its own goes by host name", async () => {
  await proxy.app("web", (req, res) => res.end(`port ${req.headers["fly-forwarded-port"]}`), { port });

  const raw = await proxy.talk("GET / HTTP/1.1\r\nHost: web.localhost\r\nConnection: close\r\n\r\n", port);

  expect(raw).toContain(`port ${port}`);
});

test("HTTP and TLS share a port, and who wants TLS is not served without it", async () => {
  const folder: TemporaryFolder = temporaryFolder("shared");
  const ca = await makeCertificate(folder.path, "safe", ["safe.localhost"]);
  await proxy.startTls(folder.path);
  const own = proxy.startPorts();
  await ports.set(new Set());
  await own.set(new Set([port]));
  await proxy.app("plain", (_req, res) => res.end("plain"), { port });
  await proxy.app("safe", (_req, res) => res.end("safe"), { port, service: { handlers: ["tls", "http"] } });
  const ask = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}.localhost\r\nConnection: close\r\n\r\n`;

  const secure = connectTls({ port, host: "127.0.0.1", servername: "safe.localhost", ca });
  secure.write(ask("safe"));

  expect(await text(secure)).toMatch(/200 OK[\s\S]*safe$/);
  expect(await proxy.talk(ask("plain"), port)).toMatch(/200 OK[\s\S]*plain$/);
  expect(await proxy.talk(ask("safe"), port)).toMatch(/^HTTP\/1\.1 400 [\s\S]*takes TLS only/);
  folder.remove();
});
