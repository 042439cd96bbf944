import { once } from "node:events";
import { type AddressInfo, createServer, connect as dial, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { EchoClient, echo, failure } from "../../../test/support/echo.ts";
import { generateKeyPair, TokenVerifier } from "../auth/auth.ts";
import { internalTokens } from "../auth/tokens.ts";
import { Fault } from "../runtime/fault.ts";
import { createLogger } from "../runtime/log.ts";
import { call, connect, openDuplex } from "./client.ts";
import { keepLink } from "./link.ts";
import { bidiStream, unary } from "./rpc.ts";

createLogger("test", { write: () => {} });

const soon = { timeoutMs: 15_000 };
const open = new Set<{ close(): void }>();
afterEach(() => {
  for (const each of open) each.close();
  open.clear();
});

test("a peer that is not there is UNAVAILABLE at once, with its address", async () => {
  const address = await freeAddress();
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

test("a link to a peer that accepts and says nothing is replaced until the peer talks", async () => {
  await using service = await echo({ one: unary((req) => req) });
  const port = Number(service.address.split(":")[1]);
  let connections = 0;
  let uses = 0;
  const address = await tcpServer((socket) => {
    if (++connections > 1) relay(socket, port);
  });
  const abort = new AbortController();
  const answered = Promise.withResolvers<string>();

  const done = keepLink(
    {
      name: "test",
      stuckMs: 100,
      connect: () => connect(EchoClient, address, { ownConnection: true }),
      use: async (client, signal) => {
        uses++;
        answered.resolve((await call(client, client.one, { text: "hi" }, { ...soon, signal })).text);
        abort.abort();
      },
    },
    abort.signal,
  );

  expect(await answered.promise).toBe("hi");
  expect(connections).toBeGreaterThan(1);
  expect(uses).toBe(1);
  await done;
});

test("a link is used again when its use has failed", async () => {
  await using service = await echo({ one: unary((req) => req) });
  const abort = new AbortController();
  let uses = 0;

  await keepLink(
    {
      name: "test",
      connect: () => connect(EchoClient, service.address, { ownConnection: true }),
      use: async () => {
        if (++uses === 2) abort.abort();
        throw new Error("broken");
      },
    },
    abort.signal,
  );

  expect(uses).toBe(2);
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

test("a duplex that is not read does not pile up what a fast server sends", async () => {
  let sent = 0;
  await using service = await echo({
    both: bidiStream(async function* () {
      for (; sent < 4_000; sent++) yield { text: "x".repeat(65_536) };
    }),
  });
  const duplex = openDuplex(service.client, service.client.both, { timeoutMs: Number.POSITIVE_INFINITY });

  await expect.poll(() => sent).toBeGreaterThan(0);
  // As long as it grows it is still filling buffers; a bounded one comes to a halt.
  let last = -1;
  await expect
    .poll(
      () => {
        const halted = sent === last;
        last = sent;
        return halted;
      },
      { interval: 100 },
    )
    .toBe(true);

  expect(sent).toBeLessThan(500);
  duplex.cancel();
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

function relay(socket: Socket, port: number): void {
  const peer = dial(port, "127.0.0.1");
  peer.on("error", () => {});
  socket.pipe(peer).pipe(socket);
}

async function freeAddress(): Promise<string> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return `127.0.0.1:${port}`;
}
