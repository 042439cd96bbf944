import http2 from "node:http2";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { listen } from "../../../../src/lib/runtime/listen.ts";
import { TestProxy } from "../fixture.ts";

let proxy: TestProxy;

beforeEach(async () => {
  proxy = await TestProxy.start();
});
afterEach(() => proxy.close());

const LAST = "GET /last HTTP/1.1\r\nHost: one.localhost\r\nConnection: close\r\n\r\n";

/** Whole requests, and what is none. */
const request = fc
  .tuple(
    fc.constantFrom("one", "two", "nobody"),
    fc.constantFrom(
      ...[
        "GET / HTTP/1.1\r\n@\r\n",
        "HEAD / HTTP/1.1\r\n@\r\n",
        "CONNECT one.localhost:80 HTTP/1.1\r\n@\r\n",
      ],
      ...[
        "POST / HTTP/1.1\r\n@Content-Length: 3\r\n\r\nabc",
        "POST / HTTP/1.1\r\n@Content-Length: 9\r\n\r\nabc",
      ],
      "POST / HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nAge: 1\r\nAge: 2\r\n\r\n",
      "POST / HTTP/1.1\r\n@Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
      "GET / HTTP/1.1\r\n@Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
      "GET / HTTP/1.1\r\n@Expect: nothing\r\n\r\n",
      ...["GET / HTTP/1.0\r\n@Connection: keep-alive\r\n\r\n", "nonsense\r\n\r\n"],
    ),
  )
  .map(([app, text]) => text.replace("@", `Host: ${app}.localhost\r\n`));

test("whatever a client sends ahead of answers, the proxy goes on", async () => {
  const service = { http: { idleTimeoutMs: 200 } };
  await proxy.app("one", (req, res) => req.resume().on("end", () => res.end("one")), { service });
  const sessions: http2.ServerHttp2Session[] = [];
  const two = http2.createServer({ strictSingleValueFields: false });
  two.on("session", (session) => sessions.push(session));
  two.on("stream", (stream) => {
    stream.on("error", () => {});
    stream.resume().on("end", () => {
      if (!stream.destroyed) stream.respond({ ":status": 200 }, { endStream: true });
    });
  });
  const port = await listen(two, "127.0.0.1:0", "PROGRAM");
  await proxy.app("two", [{ id: "two", port }], { service: { http: { ...service.http, h2Backend: true } } });

  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 3 }), async (requests) => {
      const text = await proxy.talk(requests.join("") + LAST);

      expect(text).toMatch(/^HTTP\/1\.1 \d{3} /);
    }),
    { numRuns: 60 },
  );

  expect((await proxy.fetch("one.localhost")).status).toBe(200);
  await expect.poll(() => proxy.router.held).toBe(0);
  for (const session of sessions) session.destroy();
});
