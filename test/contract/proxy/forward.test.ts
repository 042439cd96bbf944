import { createHash, randomBytes } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Client, parse, TestProxy } from "./fixture.ts";

let proxy: TestProxy;

beforeEach(async () => {
  proxy = await TestProxy.start();
});
afterEach(() => proxy.close());

test("a request goes to the app that its Host header names, and its answer comes back", async () => {
  await proxy.app("one", (_req, res) => res.end("I am one"));
  await proxy.app("two", (req, res) => res.end(`I am two at ${req.url}`));

  const answer = await proxy.fetch("Two.Localhost:8080", "/a/b?c=d");

  expect(answer.status).toBe(200);
  expect(answer.body).toBe("I am two at /a/b?c=d");
});

test("a name that no app has is answered 404 with a code, as JSON or as a page", async () => {
  const json = await proxy.fetch("nobody.localhost");
  const page = await proxy.fetch("nobody.localhost", "/", { headers: { accept: "text/html,*/*" } });

  expect(json.status).toBe(404);
  expect(json.headers.get("x-windhover-error")).toBe("NO_SUCH_APP");
  expect(JSON.parse(json.body)).toEqual({
    error: "no app has the host name nobody.localhost",
    code: "NO_SUCH_APP",
  });
  expect(page.headers.get("content-type")).toContain("text/html");
  expect(page.body).toContain("nobody.localhost");
});

test("a page asks again by itself where that may help, and never for a form", async () => {
  await proxy.app("none", []);
  const headers = { accept: "text/html" };

  const get = await proxy.fetch("none.localhost", "/", { headers });
  const post = await proxy.fetch("none.localhost", "/", { method: "POST", headers, body: "a=b" });
  const missing = await proxy.fetch("nobody.localhost", "/", { headers });

  expect(get.status).toBe(503);
  expect([get, post, missing].map(({ body }) => body.includes('http-equiv="refresh"'))).toEqual([
    ...[true, false, false],
  ]);
});

test("a program learns who asks, how and where, and a client cannot say so itself", async () => {
  let seen: Record<string, unknown> = {};
  await proxy.app("app", (req, res) => {
    seen = req.headers;
    res.end();
  });

  const answer = await proxy.fetch("app.localhost:8080", "/", {
    headers: {
      "fly-client-ip": "6.6.6.6",
      fly_client_ip: "6.6.6.6",
      "x-forwarded-for": "9.9.9.9",
      "x-forwarded-proto": "https",
      "fly-region": "moon",
      via: "1.0 fred",
      "x-own": "kept",
    },
  });

  expect(seen).toMatchObject({
    host: "app.localhost:8080",
    "fly-client-ip": "127.0.0.1",
    "x-forwarded-for": "9.9.9.9, 127.0.0.1",
    "x-forwarded-proto": "http",
    "x-forwarded-port": "80",
    "x-forwarded-host": "app.localhost:8080",
    "x-forwarded-ssl": "off",
    "fly-forwarded-port": "80",
    "fly-region": "dev",
    via: "1.0 fred, 1.1 windhover",
    "x-own": "kept",
  });
  expect(seen).not.toHaveProperty("fly_client_ip");
  expect(seen["x-request-start"]).toMatch(/^t=\d{16}$/);
  expect(seen["fly-request-id"]).toBe(answer.headers.get("fly-request-id"));
  expect(answer.headers.get("fly-request-id")).toMatch(/^[0-9A-Z]{26}-dev$/);
  expect(answer.headers.get("via")).toBe("1.1 windhover");
});

test("the trace that a client began goes on", async () => {
  let traceparent: string | undefined;
  await proxy.app("app", (req, res) => {
    traceparent = req.headers["traceparent"] as string;
    res.end();
  });
  const trace = "0af7651916cd43dd8448eb211c80319c";

  await proxy.fetch("app.localhost", "/", { headers: { traceparent: `00-${trace}-b7ad6b7169203331-01` } });

  expect(traceparent).toMatch(new RegExp(`^00-${trace}-[0-9a-f]{16}-01$`));
});

test("headers of one connection stay there, and those that a Connection header names", async () => {
  let names: string[] = [];
  await proxy.app("app", (req, res) => {
    names = req.rawHeaders.filter((_, at) => at % 2 === 0).map((each) => each.toLowerCase());
    res.writeHead(200, { "keep-alive": "timeout=9", "x-hop": "1", "x-end": "2", connection: "x-hop" });
    res.end();
  });

  const answer = await proxy.talk(
    "GET / HTTP/1.1\r\nHost: app.localhost\r\nConnection: close, X-Mine, Host, Fly-Client-IP\r\n" +
      "X-Mine: 1\r\nKeep-Alive: 300\r\nTE: gzip\r\nProxy-Authorization: secret\r\nX-Other: 2\r\n\r\n",
  );

  expect(names).toContain("host");
  expect(names).toContain("x-other");
  expect(names).toContain("fly-client-ip");
  for (const name of ["x-mine", "keep-alive", "te", "proxy-authorization"]) expect(names).not.toContain(name);
  expect(parse(answer).headers.get("x-end")).toBe("2");
  expect(parse(answer).headers.has("x-hop")).toBe(false);
});

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

test("an answer that waited for a start says so", async () => {
  const wake = { path: "warm", queueMs: 1.2, startMs: 31, readyMs: 12.4, traceId: "a".repeat(32) };
  await proxy.app("slept", (_req, res) => res.end(), { wake });

  const answer = await proxy.fetch("slept.localhost");

  expect(answer.headers.get("x-windhover-start")).toBe(
    `path=warm; queue=1ms; start=31ms; ready=12ms; trace=${"a".repeat(32)}`,
  );
  expect(answer.headers.get("server-timing")).toBe(
    'queue;dur=1.2, start;desc="warm";dur=31.0, ready;dur=12.4',
  );
});

test("a service sets and removes headers of answers, and may have none of the proxy's", async () => {
  const responseHeaders = new Map([
    ["x-frame-options", "DENY"],
    ["server", ""],
  ]);
  const answers = (_req: unknown, res: import("node:http").ServerResponse) =>
    res.writeHead(200, { server: "secret/1.0" }).end();
  await proxy.app("some", answers, { service: { http: { responseHeaders } } });
  await proxy.app("pristine", answers, { service: { http: { pristineResponse: true } } });

  const some = await proxy.fetch("some.localhost");
  const pristine = await proxy.fetch("pristine.localhost");

  expect(some.headers.get("x-frame-options")).toBe("DENY");
  expect(some.headers.has("server")).toBe(false);
  expect(pristine.headers.get("server")).toBe("secret/1.0");
  expect(pristine.headers.has("via")).toBe(false);
  expect(pristine.headers.has("fly-request-id")).toBe(false);
});

test("a service that wants https gets its clients by a redirect", async () => {
  await proxy.app("safe", (_req, res) => res.end(), { service: { forceHttps: true } });

  const get = await proxy.fetch("safe.localhost:8080", "/a?b");
  const post = await proxy.fetch("safe.localhost", "/a", { method: "POST", body: "x" });

  expect(get.status).toBe(301);
  expect(get.headers.get("location")).toBe("https://safe.localhost:8443/a?b");
  expect(post.status).toBe(308);
});

test("a client that leaves ends its request at the program, and its place is released once", async () => {
  let hasEnded = false;
  let hasBegun = false;
  await proxy.app("slow", (req) => {
    hasBegun = true;
    req.on("close", () => {
      hasEnded = true;
    });
  });
  const client = new Client(proxy.port);

  client.write("GET / HTTP/1.1\r\nHost: slow.localhost\r\n\r\n");
  await expect.poll(() => hasBegun).toBe(true);
  client.socket.destroy();

  await expect.poll(() => hasEnded).toBe(true);
  await expect.poll(() => proxy.router.held).toBe(0);
  expect(proxy.router.mostReleases).toBe(1);
});

test("a client that leaves while it waits for a machine waits no more", async () => {
  let hasLeft = false;
  let isAsked = false;
  await proxy.app("asleep", [], {
    admit: (_ask, signal) => {
      isAsked = true;
      return new Promise((_, reject) =>
        signal.addEventListener("abort", () => {
          hasLeft = true;
          reject(signal.reason);
        }),
      );
    },
  });
  const client = new Client(proxy.port);

  client.write("GET / HTTP/1.1\r\nHost: asleep.localhost\r\n\r\n");
  await expect.poll(() => isAsked).toBe(true);
  client.socket.destroy();

  await expect.poll(() => hasLeft).toBe(true);
});

test("requests that a client sends ahead are answered in turn, one at a time", async () => {
  let most = 0;
  let now = 0;
  await proxy.app("app", (req, res) => {
    now += 1;
    most = Math.max(most, now);
    setTimeout(() => {
      now -= 1;
      res.end(`[${req.url}]`);
    }, 5);
  });
  const one = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: app.localhost\r\n${more}\r\n`;

  const text = await proxy.talk(one("/1") + one("/2") + one("/3", "Connection: close\r\n"));

  expect(text.match(/\[\/\d\]/g)).toEqual(["[/1]", "[/2]", "[/3]"]);
  expect(most).toBe(1);
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
