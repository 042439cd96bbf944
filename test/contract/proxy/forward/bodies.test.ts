import { createHash, randomBytes } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Client, parse, TestProxy } from "../fixture.ts";

let proxy: TestProxy;

beforeEach(async () => {
  proxy = await TestProxy.start();
});
afterEach(() => proxy.close());

test("a large body goes to the program and back, whole, without being kept whole", async () => {
  const body = randomBytes(8 * 1024 * 1024);
  const hash = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
  await proxy.app("echo", (req, res) => {
    res.writeHead(200, { "content-length": req.headers["content-length"] });
    req.pipe(res);
  });

  const { raw } = await proxy.fetch("echo.localhost", "/", { method: "POST", body });

  const received = Buffer.from(raw.slice(raw.indexOf("\r\n\r\n") + 4), "latin1");
  expect(hash(received)).toBe(hash(body));
});

test("bytes stream in both directions before either has ended", async () => {
  await proxy.app("echo", (req, res) => {
    res.flushHeaders();
    req.on("data", (chunk) => res.write(`<${chunk}>`));
    req.on("end", () => res.end("bye"));
  });
  const client = new Client(proxy.port);

  client.write("POST / HTTP/1.1\r\nHost: echo.localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
  await expect.poll(() => client.text).toContain("200 OK");
  client.write("3\r\none\r\n");
  await expect.poll(() => client.text).toContain("<one>");
  client.write("3\r\ntwo\r\n");
  await expect.poll(() => client.text).toContain("<two>");
  client.write("0\r\n\r\n");
  await expect.poll(() => client.text).toContain("bye");
  client.socket.destroy();
});

test("an event of a stream arrives when it is sent", async () => {
  let send: (text: string) => void = () => {};
  await proxy.app("events", (_req, res) => {
    res.writeHead(200, { "content-type": "text/event-stream" });
    send = (text) => res.write(`data: ${text}\n\n`);
    res.flushHeaders();
  });
  const client = new Client(proxy.port);

  client.write("GET / HTTP/1.1\r\nHost: events.localhost\r\nAccept: text/event-stream\r\n\r\n");
  await expect.poll(() => client.text).toContain("text/event-stream");
  send("first");

  await expect.poll(() => client.text).toContain("data: first");
  client.socket.destroy();
});

test("a program that a client does not read from has to wait", async () => {
  let written = 0;
  await proxy.app("flood", (_req, res) => {
    res.writeHead(200);
    const chunk = Buffer.alloc(64 * 1024);
    const write = () => {
      while (res.write(chunk)) written += chunk.length;
      written += chunk.length;
    };
    res.on("drain", write);
    write();
  });
  const client = new Client(proxy.port);
  client.socket.pause();

  client.write("GET / HTTP/1.1\r\nHost: flood.localhost\r\n\r\n");
  let before = -1;
  await expect
    .poll(
      () => {
        const isStill = written > 0 && written === before;
        before = written;
        return isStill;
      },
      { interval: 200 },
    )
    .toBe(true);

  expect(written).toBeLessThan(32 * 1024 * 1024);
  client.socket.destroy();
  await expect.poll(() => proxy.router.held).toBe(0);
});

test("HEAD, 204 and 304 have no body, and trailers arrive", async () => {
  await proxy.app("app", (req, res) => {
    if (req.url === "/204") return res.writeHead(204).end();
    if (req.url === "/304") return res.writeHead(304, { etag: '"x"' }).end();
    if (req.url === "/head") return res.writeHead(200, { "content-length": "7" }).end();
    res.writeHead(200, { trailer: "x-sum" });
    res.write("body");
    res.addTrailers({ "x-sum": "42" });
    return res.end();
  });

  const head = await proxy.fetch("app.localhost", "/head", { method: "HEAD" });
  const none = await proxy.fetch("app.localhost", "/204");
  const same = await proxy.fetch("app.localhost", "/304");
  const trailed = await proxy.fetch("app.localhost", "/");

  expect([head.status, head.body, head.headers.get("content-length")]).toEqual([200, "", "7"]);
  expect([none.status, none.body]).toEqual([204, ""]);
  expect([same.status, same.body, same.headers.get("etag")]).toEqual([304, "", '"x"']);
  expect(trailed.body).toBe("body");
  expect(trailed.raw).toContain("x-sum: 42");
});

test("trailers of a request reach the program", async () => {
  await proxy.app("app", (req, res) => {
    req.resume().on("end", () => res.end(JSON.stringify(req.trailers)));
  });

  const raw = await proxy.talk(
    "POST / HTTP/1.1\r\nHost: app.localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" +
      "3\r\nabc\r\n0\r\nX-Sum: 9\r\nFly-Client-IP: 1.1.1.1\r\n\r\n",
  );

  expect(parse(raw).body).toBe('{"x-sum":"9"}');
});

test("a program that informs without end is cut short, and its answer arrives", async () => {
  const machine = await proxy.rawMachine((socket) => {
    socket.once("data", () => {
      socket.write("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n".repeat(1_000));
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    });
  });
  await proxy.app("app", [machine]);

  const { raw } = await proxy.fetch("app.localhost");

  expect(raw.match(/103 Early Hints/g)?.length).toBe(32);
  expect(raw).toMatch(/ok$/);
});

test("informational answers reach the client before the answer", async () => {
  await proxy.app("app", (_req, res) => {
    res.writeEarlyHints({ link: "</a.css>; rel=preload" });
    res.end("done");
  });

  const { raw } = await proxy.fetch("app.localhost");

  expect(raw).toMatch(/^HTTP\/1\.1 103 Early Hints\r\nlink: <\/a\.css>; rel=preload\r\n\r\nHTTP\/1\.1 200/i);
});
