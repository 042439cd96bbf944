import { connect, type Socket } from "node:net";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { fromHeader, fromJson } from "../../../src/proxy/http/replay/replay-order.ts";
import { TestProxy } from "./fixture.ts";

let proxy: TestProxy;

beforeEach(async () => {
  proxy = await TestProxy.start();
});
afterEach(() => proxy.close());

/** Parts that requests are made of, right and wrong. */
const line = fc.constantFrom(
  ...[
    "Host: app.localhost",
    "Host: APP.localhost.:80",
    "Host: a b",
    "Content-Length: 3",
    "Content-Length: 03",
  ],
  ...["Content-Length: -1", "Content-Length:3", "Transfer-Encoding: chunked", "Transfer-Encoding: CHUNKED"],
  ...["Transfer-Encoding: chunked, identity", "Transfer-Encoding : chunked", "Transfer_Encoding: chunked"],
  ...[
    "Connection: close",
    "Connection: content-length",
    "Connection: transfer-encoding",
    "Expect: 100-continue",
  ],
  ...[
    "Upgrade: websocket",
    "Connection: upgrade",
    " folded: x",
    "X: \u0001",
    "X",
    ": x",
    "Trailer: X",
    "TE: trailers",
  ],
);
const ending = fc.constantFrom("\r\n", "\r\n", "\r\n", "\n", "\r", "\r\r\n");
const body = fc.constantFrom(
  ...[
    "",
    "abc",
    "3\r\nabc\r\n0\r\n\r\n",
    "0\r\n\r\n",
    "3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\n",
    "-1\r\n",
    "3\nabc\n0\n\n",
  ],
  ...["0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: app.localhost\r\n\r\n"],
);
const start = fc.constantFrom(
  ...[
    "GET / HTTP/1.1",
    "POST /x HTTP/1.1",
    "POST / HTTP/1.0",
    "GET http://app.localhost/ HTTP/1.1",
    "PUT  / HTTP/1.1",
  ],
  ...["OPTIONS * HTTP/1.1", "GET /\t HTTP/1.1", "G@T / HTTP/1.1", "POST / HTTP/1.1 "],
);

test("whatever a client sends, a program gets whole requests with one framing, or nothing", async () => {
  const heard: string[] = [];
  const sockets = new Set<Socket>();
  const machine = await proxy.rawMachine((socket) => {
    sockets.add(socket);
    const at = heard.push("") - 1;
    socket.on("data", (chunk) => {
      heard[at] += chunk.toString("latin1");
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    });
  });
  await proxy.app("app", [machine], { service: { http: { idleTimeoutMs: 200 } } });
  const request = fc.tuple(start, fc.array(fc.tuple(line, ending), { maxLength: 5 }), ending, body);

  await fc.assert(
    fc.asyncProperty(request, async ([first, lines, last, rest]) => {
      heard.length = 0;
      const head = [
        first,
        "\r\n",
        "Host: app.localhost\r\n",
        "Connection: close\r\n",
        ...lines.flat(),
        last,
      ].join("");
      await send(proxy.port, `${head}${rest}`);
      // A connection whose client has left in time stays without a request.
      for (const each of heard.filter((text) => text !== "")) {
        const [received = ""] = each.split("\r\n\r\n", 1);
        const names = received
          .split("\r\n")
          .slice(1)
          .map((text) => text.slice(0, text.indexOf(":")).toLowerCase());
        const framing = names.filter((name) => name === "content-length" || name === "transfer-encoding");
        expect(framing.length).toBeLessThan(2);
        expect(names.filter((name) => name === "host").length).toBe(1);
        expect(received).not.toMatch(/[^\r]\n|\r[^\n]/);
        expect(received).not.toMatch(/transfer_encoding|content_length/i);
      }
    }),
    { numRuns: 150 },
  );
  await expect.poll(() => proxy.router.held).toBe(0);
  for (const socket of sockets) socket.destroy();
});

/** Sends bytes and waits until the proxy has nothing more to say. */
function send(port: number, bytes: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = connect(port, "127.0.0.1", () => socket.write(bytes, "latin1"));
  // A request that is not whole: the proxy waits for the rest.
  socket.setTimeout(300, () => socket.destroy());
  socket.on("error", () => {}).on("close", () => resolve());
  socket.resume();
  return promise;
}

test("orders of programs are read or refused, whatever they are", () => {
  const key = fc.constantFrom(
    "region",
    "instance",
    "app",
    "state",
    "elsewhere",
    "timeout",
    "fallback",
    "cache",
    "transform",
  );
  const texts = fc.array(fc.tuple(key, fc.string({ maxLength: 30 })), { maxLength: 6 });
  fc.assert(
    fc.property(texts, (fields) => {
      const header = fields.map(([name, value]) => `${name}=${value}`).join(";");
      const order = attempt(() => fromHeader(header));
      expect(order instanceof Error || typeof order.isElsewhere === "boolean").toBe(true);
    }),
  );
  fc.assert(
    fc.property(fc.dictionary(key, fc.jsonValue()), (json) => {
      const order = attempt(() => fromJson(json));
      expect(order instanceof Error || Array.isArray(order.regions)).toBe(true);
    }),
  );
});

function attempt<T>(read: () => T): T | Error {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error && !(error instanceof TypeError)) return error;
    throw error;
  }
}
