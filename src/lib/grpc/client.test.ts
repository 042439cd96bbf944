import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { EchoClient, echo, failure } from "../../../test/support/net/echo.ts";
import { TokenVerifier } from "../auth/auth.ts";
import { generateKeyPair } from "../auth/keys.ts";
import { internalTokens } from "../auth/tokens.ts";
import { Fault } from "../faults/fault.ts";
import { createLogger } from "../runtime/log.ts";
import { type CallScope, call, connect, openStream } from "./client.ts";
import { unary } from "./server/rpc.ts";

createLogger("test", { write: () => {} });

const soon = { timeoutMs: 15_000 };
const open = new Set<{ close(): void }>();
afterEach(() => {
  for (const each of open) each.close();
  open.clear();
});

test("a peer that is not there is UNAVAILABLE at once, with its address", async () => {
  const address = "127.0.0.1:1";
  const client = owned(connect(EchoClient, address));

  const error = await failure(call(client, client.one, { text: "" }, soon));

  expect(error).toMatchObject({
    code: "UNAVAILABLE",
    reason: "PEER_UNAVAILABLE",
    facts: { address },
    message: `${address} cannot be reached`,
  });
});

test("a peer on a unix socket that is not there is told by its path", async () => {
  const client = owned(connect(EchoClient, "unix:/nowhere/s"));

  const error = await failure(call(client, client.one, { text: "" }, soon));

  expect(error).toMatchObject({ reason: "PEER_UNAVAILABLE", facts: { address: "unix:/nowhere/s" } });
});

test("a peer that accepts and then says nothing costs no more than the timeout", async () => {
  const mute = await tcpServer(() => {});
  const client = owned(connect(EchoClient, mute));

  const error = await failure(call(client, client.one, { text: "" }, { timeoutMs: 150 }));

  expect(error).toMatchObject({ code: "DEADLINE_EXCEEDED", facts: { address: mute } });
});

test("a peer that refuses a service's own token is that service's failure, not its caller's", async () => {
  const cluster = generateKeyPair();
  const stranger = generateKeyPair();
  await using backend = await echo(
    { one: unary((req) => req) },
    { verifier: new TokenVerifier(cluster.publicKey) },
  );
  const peer = owned(
    connect(EchoClient, backend.address, { token: internalTokens(stranger.privateKey, "api") }),
  );
  await using service = await echo({
    one: unary((req, parent) => call(peer, peer.one, req, { ...soon, parent })),
  });

  const direct = await failure(call(peer, peer.one, { text: "" }, soon));
  const through = await failure(call(service.client, service.client.one, { text: "" }, soon));

  expect(direct).toMatchObject({ code: "UNAUTHENTICATED", reason: "TOKEN_INVALID" });
  expect(through).toMatchObject({ code: "INTERNAL", reason: "INTERNAL" });
});

test("a peer's fault that a handler does not catch goes through to its caller", async () => {
  const sent = new Fault("RESOURCE_EXHAUSTED", "INSUFFICIENT_CAPACITY", "the host is full", {
    memory_mib: "512",
  });
  await using backend = await echo({ one: unary(() => Promise.reject(sent)) });
  await using service = await echo({
    one: unary((req, parent) => call(backend.client, backend.client.one, req, { ...soon, parent })),
  });

  const error = await failure(call(service.client, service.client.one, { text: "" }, soon));

  expect(error).toMatchObject({
    code: "RESOURCE_EXHAUSTED",
    reason: "INSUFFICIENT_CAPACITY",
    facts: { memory_mib: "512" },
  });
});

function owned<T extends { close(): void }>(client: T): T {
  open.add(client);
  return client;
}

async function tcpServer(onConnection: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onConnection(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  open.add({
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test.each(["one", "down"] as const)(
  "a call of the kind %s ends that is cancelled, or overdue, while its token is being made",
  async (kind) => {
    await using backend = await echo({ one: unary((req) => req) });
    const client = owned(connect(EchoClient, backend.address, { token: () => new Promise(() => {}) }));
    const ask = async (scope: CallScope): Promise<unknown> => {
      if (kind === "one") return call(client, client.one, { text: "" }, scope);
      return (await Array.fromAsync(openStream(client, client.down, { text: "" }, scope))).length;
    };
    const leave = new AbortController();

    const cancelled = failure(ask({ timeoutMs: Number.POSITIVE_INFINITY, signal: leave.signal }));
    leave.abort();

    expect(await cancelled).toMatchObject({ code: "CANCELLED" });
    expect(await failure(ask({ timeoutMs: 20 }))).toMatchObject({ code: "DEADLINE_EXCEEDED" });
  },
);

test("a call starts when its token has been made, and fails when it cannot be", async () => {
  await using backend = await echo({ one: unary((req) => req) });
  const made = Promise.withResolvers<string>();
  const late = owned(connect(EchoClient, backend.address, { token: () => made.promise }));
  const never = owned(
    connect(EchoClient, backend.address, { token: () => Promise.reject(new Error("no key")) }),
  );

  const answered = call(late, late.one, { text: "late" }, soon);
  made.resolve("token");

  expect(await answered).toMatchObject({ text: "late" });
  expect(await failure(call(never, never.one, { text: "" }, soon))).toBeInstanceOf(Fault);
});
