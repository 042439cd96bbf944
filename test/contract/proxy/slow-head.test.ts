import { createServer } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { listen } from "../../../src/lib/runtime/listen.ts";
import { describeConnection } from "../../../src/proxy/connection.ts";
import { H1Front } from "../../../src/proxy/http/front/h1-front.ts";
import { Client } from "./fixture.ts";

const LIMITS = { headBytes: 16_384, keepAliveMs: 1_000, headMs: 1_000 };
let port: number;
let close: () => void;

beforeEach(async () => {
  const front = new H1Front(async (exchange) => {
    exchange.begin({ status: 200, statusText: "", headers: ["content-length", "2"] }, false).end("ok");
  }, LIMITS);
  const server = createServer({ allowHalfOpen: true }, (socket) =>
    front.accept(socket, describeConnection(socket, 80)),
  );
  port = await listen(server, "127.0.0.1:0", "PROXY_LISTEN");
  close = () => {
    server.close();
    front.close();
  };
});
afterEach(() => close());

test("a head that does not come in time is answered 408", async () => {
  const [part, silent] = [new Client(port), new Client(port)];

  part.write("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ");

  await expect.poll(() => part.isClosed && silent.isClosed).toBe(true);
  expect(part.text).toContain("408 Request Timeout");
  expect(part.text).toContain("CLIENT_TIMEOUT");
});

test("a head that comes byte by byte on a connection that was used before is not waited for either", async () => {
  const client = new Client(port);
  client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await expect.poll(() => client.text).toContain("ok");

  client.write("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ");
  const drip = setInterval(() => client.write("x"), 10);
  await expect.poll(() => client.isClosed).toBe(true);
  clearInterval(drip);

  expect(client.text.match(/200 OK/g)?.length).toBe(1);
});
