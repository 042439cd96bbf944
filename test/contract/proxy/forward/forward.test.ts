import { afterEach, beforeEach, expect, test } from "vitest";
import { Client, parse, TestProxy } from "../fixture.ts";

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
  await proxy.app("broken", [await proxy.rawMachine((socket) => socket.destroy())], { wake });
  const error = await proxy.fetch("broken.localhost", "/", { method: "POST" });
  expect([error.status, error.headers.get("x-windhover-start")]).toEqual([
    ...[502, answer.headers.get("x-windhover-start")],
  ]);
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

test.each([
  ["", "GET / HTTP/1.1\r\nHost: asleep.localhost\r\n\r\n", 0],
  [
    ", also behind a body",
    "POST / HTTP/1.1\r\nHost: asleep.localhost\r\nContent-Length: 900000\r\n\r\n",
    800_000,
  ],
])("a client that leaves while it waits for a machine waits no more%s", async (_, head, bodyBytes) => {
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

  client.write(head);
  await expect.poll(() => isAsked).toBe(true);
  client.socket.write("x".repeat(bodyBytes), () => client.socket.destroy());

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
