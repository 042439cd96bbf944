import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import http2 from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { listen } from "../../../../src/lib/runtime/listen.ts";
import { H2Fixture } from "./h2-fixture.ts";

const WEBSOCKET = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

let fixture: H2Fixture;
let proxy: H2Fixture["proxy"];
let client: H2Fixture["client"];

beforeEach(async () => {
  fixture = await H2Fixture.start();
  ({ proxy, client } = fixture);
  await once(client, "remoteSettings");
});
afterEach(() => fixture.close());

/** Begins one. */
function begin(): {
  stream: http2.ClientHttp2Stream;
  head: () => http2.IncomingHttpHeaders;
  text: () => string;
} {
  const stream = client.request({
    ...{ ":method": "CONNECT", ":protocol": "websocket", ":scheme": "http", ":path": "/chat" },
    ...{ ":authority": "ws.localhost", "sec-websocket-version": "13", "sec-websocket-protocol": "a" },
  });
  let [head, text] = [{} as http2.IncomingHttpHeaders, ""];
  stream.on("response", (headers) => {
    head = headers;
  });
  stream.on("data", (chunk) => {
    text += chunk;
  });
  stream.on("error", () => {});
  return { stream, head: () => head, text: () => text };
}

/** Starts a program that says everything back, once it has accepted a WebSocket. */
async function startProgram(accepts: (key: string) => string): Promise<Set<Duplex>> {
  const sockets = new Set<Duplex>();
  const server = createServer((_req, res) => res.writeHead(426, { "x-why": "none here" }).end("no"));
  server.on("upgrade", (req, socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    const accept = accepts(String(req.headers["sec-websocket-key"]));
    const lines = ["Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${accept}`];
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\n${lines.join("\r\n")}\r\nSec-WebSocket-Protocol: a\r\n\r\n`,
    );
    socket.pipe(socket);
  });
  const port = await listen(server, "127.0.0.1:0", "PROGRAM");
  proxy.stack.add("program", () => server.closeAllConnections());
  await proxy.app("ws", [{ id: "ws", port }]);
  return sockets;
}
const acceptOf = (key: string) => createHash("sha1").update(`${key}${WEBSOCKET}`).digest("base64");

test("a WebSocket by HTTP/2 passes both ways to a program of HTTP/1.1, holds one place, and ends at both sides", async () => {
  const sockets = await startProgram(acceptOf);
  const { stream, head, text } = begin();

  stream.write("early ");
  await expect.poll(text).toBe("early ");
  expect(head()).toMatchObject({ ":status": 200, "sec-websocket-protocol": "a" });
  expect(head()).not.toHaveProperty("sec-websocket-accept");
  expect(proxy.router.held).toBe(1);
  stream.write("late");
  await expect.poll(text).toBe("early late");
  stream.end();

  await expect.poll(() => stream.destroyed).toBe(true);
  expect(stream.rstCode).toBe(0);
  await expect.poll(() => [sockets.size, proxy.router.held]).toEqual([0, 0]);
});

test("a WebSocket by HTTP/2 breaks at the other side where it breaks at one", async () => {
  const sockets = await startProgram(acceptOf);
  const [left, stays] = [begin(), begin()];
  for (const { stream } of [left, stays]) stream.write("x");
  await expect.poll(() => left.text() + stays.text()).toBe("xx");

  left.stream.close(http2.constants.NGHTTP2_CANCEL);
  await expect.poll(() => sockets.size).toBe(1);
  for (const socket of sockets) (socket as Socket).resetAndDestroy();

  await expect.poll(() => stays.stream.rstCode).toBe(http2.constants.NGHTTP2_INTERNAL_ERROR);
  await expect.poll(() => proxy.router.held).toBe(0);
});

test("a WebSocket by HTTP/2 is refused as the program refuses it, and when the program accepts another one", async () => {
  await startProgram(() => "of somebody else");
  const other = begin();
  await expect.poll(() => other.head()[":status"]).toBe(502);

  proxy.router.apps.length = 0;
  await proxy.app("ws", (_req, res) => res.writeHead(403, { "x-why": "no" }).end("why"));
  const refused = begin();
  await expect.poll(refused.text).toBe("why");
  expect(refused.head()).toMatchObject({ ":status": 403, "x-why": "no" });
  await expect.poll(() => [refused.stream.closed, proxy.router.held]).toEqual([true, 0]);
});

test("HTTP/2 changes to no other protocol", async () => {
  await startProgram(acceptOf);
  const stream = client.request({
    ...{ ":method": "CONNECT", ":protocol": "connect-udp", ":scheme": "http", ":path": "/" },
    ":authority": "ws.localhost",
  });
  stream.on("error", () => {});

  expect((await once(stream, "response"))[0]).toMatchObject({ ":status": 405 });
});
