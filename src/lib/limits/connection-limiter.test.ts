import { createServer } from "node:http";
import { type AddressInfo, connect, Socket } from "node:net";
import { expect, test } from "vitest";
import { ConnectionLimiter, limitConnections } from "./connection-limiter.ts";

const LIMITS = { total: 5, perAddress: 4, newTotal: 3, newPerAddress: 2 };

function setUp(limits = LIMITS) {
  const clock = { nowMs: 0 };
  const limiter = new ConnectionLimiter(limits, { now: () => clock.nowMs, monotonicMs: () => clock.nowMs });
  /** Connects from an address. */
  const from = (remoteAddress: string | undefined) => {
    const socket = Object.defineProperty(new Socket(), "remoteAddress", { value: remoteAddress });
    return { socket, admitted: limiter.admit(socket) };
  };
  return { clock, limiter, from };
}

test("an address has few new connections; the oldest makes room once it has had a second", () => {
  const { clock, from } = setUp();
  const [first, second] = [from("192.0.2.1"), from("192.0.2.1")];

  expect(from("192.0.2.1").admitted).toBeUndefined();
  expect(first.socket.destroyed).toBe(false);

  clock.nowMs = 1_000;
  expect(from("192.0.2.1").admitted).toBeDefined();
  expect([first.socket.destroyed, second.socket.destroyed]).toEqual([true, false]);
});

test("all addresses together have few; the busiest one makes room for another", () => {
  const { clock, from } = setUp();
  const [busy] = [from("192.0.2.1"), from("192.0.2.1"), from("192.0.2.2")];
  clock.nowMs = 1_000;

  expect(from("192.0.2.3").admitted).toBeDefined();
  expect(busy.socket.destroyed).toBe(true);
});

test("connections that have shown who they are keep their place, and a service's take none", () => {
  const { limiter, from } = setUp();
  for (let i = 0; i < 20; i += 1) {
    const { admitted } = from("192.0.2.1");
    if (admitted) limiter.identified(admitted, true);
    expect(admitted).toBeDefined();
  }
  for (let i = 0; i < 4; i += 1) {
    const { admitted } = from("192.0.2.1");
    if (admitted) limiter.identified(admitted, false);
    expect(admitted).toBeDefined();
  }

  expect(from("192.0.2.1").admitted).toBeUndefined();
  expect(from("192.0.2.2").admitted).toBeDefined();
});

test("a place is free again when its connection has closed", async () => {
  const { from } = setUp();
  const { socket } = from("192.0.2.1");
  from("192.0.2.1");
  expect(from("192.0.2.1").admitted).toBeUndefined();

  socket.destroy();

  await expect.poll(() => from("192.0.2.1").admitted !== undefined).toBe(true);
});

test.each([
  [["2001:db8::1", "2001:db8:0:0:ffff::2", "2001:db8::3%eth0"], "2001:db8:0:0::/64"],
  [["::ffff:192.0.2.1", "192.0.2.1"], "192.0.2.1"],
  [[undefined], "local"],
  [["::1"], "0:0:0:0::/64"],
])("%o are one address", (addresses, expected) => {
  const { from } = setUp({ total: 9, perAddress: 9, newTotal: 9, newPerAddress: 9 });

  expect(addresses.map((address) => from(address).admitted?.address)).toEqual(addresses.map(() => expected));
});

test("a connection that breaks while nobody listens to it ends nothing but itself", async () => {
  const hadError = Promise.withResolvers<boolean>();
  const server = createServer((request) => request.socket.destroy());
  // Node has taken its own listeners off by then.
  server.on("connect", (_request, socket) => {
    socket.on("close", hadError.resolve).resume();
    socket.write("HTTP/1.1 405 Method Not Allowed\r\n\r\n");
  });
  limitConnections(server, LIMITS);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  client.write("CONNECT api:80 HTTP/1.1\r\nHost: api\r\n\r\n");
  client.once("data", () => client.resetAndDestroy());

  expect(await hadError.promise).toBe(true);
  await new Promise((resolve) => server.close(resolve));
});
