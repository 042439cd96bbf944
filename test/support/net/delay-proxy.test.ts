import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { temporaryFolder } from "../temporary.ts";
import { DelayProxy } from "./delay-proxy.ts";
import { dialerOf } from "./dialer.ts";

let server: Server;
let target: string;
let proxy: DelayProxy | undefined;

beforeEach(async () => {
  // Says back what it is told.
  server = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket).on("error", () => {}));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it has no port");
  target = `127.0.0.1:${address.port}`;
});
afterEach(async () => {
  await proxy?.close();
  proxy = undefined;
  await once(server.close(), "close");
});

function dial(address: string) {
  const [host = "", port] = address.split(":");
  return connect(address.startsWith("/") ? { path: address } : { host, port: Number(port) });
}

test("an answer takes a round trip, and the first one another for the connection", async () => {
  proxy = await DelayProxy.start({ target, roundTripMs: () => 60 });
  const socket = dial(proxy.address);
  const ask = async () => {
    const askedAt = performance.now();
    socket.write("x");
    await once(socket, "data");
    return performance.now() - askedAt;
  };

  const first = await ask();
  const later = [await ask(), await ask(), await ask(), await ask(), await ask()];
  socket.destroy();

  expect(first).toBeGreaterThan(118);
  const quickest = Math.min(...later);
  expect(quickest).toBeGreaterThan(58);
  expect(quickest).toBeLessThan(first);
});

test("what is said arrives whole and in order, also when the way gets shorter meanwhile", async () => {
  let roundTripMs = 80;
  proxy = await DelayProxy.start({ target, roundTripMs: () => roundTripMs });
  const socket = dial(proxy.address);
  const said = Array.from({ length: 20 }, (_, index) => `${index},${"x".repeat(10_000)};`);

  const heard = text(socket);
  for (const [index, word] of said.entries()) {
    if (index === 10) roundTripMs = 0;
    await new Promise((resolve) => socket.write(word, resolve));
  }
  socket.end();

  // Not the text itself: a failure would print it.
  expect((await heard) === said.join("")).toBe(true);
});

test("unix sockets are proxied too, and whoever listens behind one that is closed is hung up on", async () => {
  const scratch = temporaryFolder("proxy");
  proxy = await DelayProxy.start({ target, path: join(scratch.path, "s"), roundTripMs: () => 0 });
  const socket = dial(proxy.address);
  socket.on("error", () => {});
  socket.write("x");
  await once(socket, "data");
  expect(proxy.connections).toBe(1);

  const closed = once(socket, "close");
  await proxy.close();
  await closed;
  proxy = undefined;
  scratch.remove();
});

test("it is told who dials", async () => {
  const dialers: string[] = [];
  proxy = await DelayProxy.start({
    target,
    dialer: ({ remotePort = 0 }) => dialerOf(remotePort, [{ pid: process.pid, name: "us" }]) ?? "nobody",
    roundTripMs: (dialer) => {
      dialers.push(dialer);
      return 0;
    },
  });
  const socket = dial(proxy.address);
  socket.write("x");
  await once(socket, "data");
  socket.destroy();

  expect(new Set(dialers)).toEqual(new Set(["us"]));
  expect(dialerOf(1, [{ pid: process.pid, name: "us" }])).toBeUndefined();
});
