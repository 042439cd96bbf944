import { once } from "node:events";
import net from "node:net";
import { afterEach, expect, test } from "vitest";
import { addEcho, EchoClient, type EchoHandlers, failure } from "../../../../../test/support/net/echo.ts";
import { framed, unfinishedMessage } from "../../../../../test/support/net/flood.ts";
import { beginCall, openSession } from "../../../../../test/support/net/raw-call.ts";
import { HealthClient } from "../../../../gen/grpc/health/v1/health.ts";
import { mintToken, TokenVerifier } from "../../../auth/auth.ts";
import type { Scope } from "../../../auth/claims.ts";
import { generateKeyPair } from "../../../auth/keys.ts";
import { Stack } from "../../../runtime/lifecycle.ts";
import { createLogger } from "../../../runtime/log.ts";
import { addHealth, Health } from "../../builtin/health.ts";
import { addReflection } from "../../builtin/reflection.ts";
import { call, connect, openStream } from "../../client.ts";
import { unary } from "../rpc.ts";
import { createServer, type ServerOptions, serve } from "../serve.ts";
import { DEFAULT_EDGE_LIMITS, type EdgeLimits } from "./limits.ts";

createLogger("test", { write: () => {} });

const KEYS = generateKeyPair();
const HOUR_S = 3_600;
const CHECK = "/grpc.health.v1.Health/Check";
const WATCH = "/grpc.health.v1.Health/Watch";
const ECHO = "/test.v1.Echo/One";
const soon = { timeoutMs: 15_000 };

let stack = new Stack();
afterEach(async () => {
  await stack.close();
  stack = new Stack();
});

/** Serves echo and health, with tokens. */
async function serving(
  limits: Partial<EdgeLimits> = {},
  options: ServerOptions = {},
  one: EchoHandlers["one"] = unary(({ text }) => ({ text: text.slice(0, 10) })),
): Promise<string> {
  const server = createServer({ verifier: new TokenVerifier(KEYS.publicKey), limits, ...options });
  const health = new Health([]);
  addEcho(server, { one });
  addHealth(server, health);
  addReflection(server, ["grpc.health.v1.Health"]);
  const close = await serve(server, "127.0.0.1:0", 100, health);
  stack.add("server", close);
  return `127.0.0.1:${close.port}`;
}

function tokenOf(org: string, scopes: readonly Scope[] = ["machines:read"]): Promise<string> {
  return mintToken(KEYS.privateKey, { subject: "somebody", org, scopes }, HOUR_S);
}

const session = (address: string) => openSession(stack, address);

const RESOURCE_EXHAUSTED = 8;
const DEADLINE_EXCEEDED = 4;
const UNAUTHENTICATED = 16;

test("an open method takes a few KiB and refuses a larger message before it is whole", async () => {
  const on = session(await serving());

  const small = beginCall(on, CHECK, framed(Buffer.from([10, 0])));
  const large = beginCall(on, CHECK, unfinishedMessage(8_192));

  await expect.poll(() => large).toEqual({ status: RESOURCE_EXHAUSTED, isClosed: true });
  expect(small.status).toBe(-1);
});

test("a call without a token is refused before its message is whole, and its stream is closed", async () => {
  const on = session(await serving());

  const answer = beginCall(on, ECHO, unfinishedMessage(1_000_000));

  await expect.poll(() => answer).toEqual({ status: UNAUTHENTICATED, isClosed: true });
});

test("an open call that does not end is ended", async () => {
  const open = { ...DEFAULT_EDGE_LIMITS.open, timeoutMs: 50 };
  const on = session(await serving({ open }));

  const answer = beginCall(on, CHECK, unfinishedMessage(100));

  await expect.poll(() => answer).toEqual({ status: DEADLINE_EXCEEDED, isClosed: true });
});

test("a health watch ends without a token, and goes on with one", async () => {
  const open = { ...DEFAULT_EDGE_LIMITS.open, watchTimeoutMs: 50 };
  const on = session(await serving({ open }));
  const authorization = `Bearer ${await tokenOf("acme")}`;
  // Verifying a token for the first time may take longer than a stranger's watch.
  const first = beginCall(on, ECHO, framed(Buffer.alloc(0)), { authorization });
  await expect.poll(() => first.isClosed).toBe(true);

  const known = beginCall(on, WATCH, framed(Buffer.alloc(0)), { authorization });
  const stranger = beginCall(on, WATCH, framed(Buffer.alloc(0)));

  await expect.poll(() => stranger).toEqual({ status: DEADLINE_EXCEEDED, isClosed: true });
  expect(known).toEqual({ status: -1, isClosed: false });
});

test("one address has a few health watches, and a check beside them is answered", async () => {
  const open = { ...DEFAULT_EDGE_LIMITS.open, watchesPerAddress: 2 };
  const address = await serving({ open });
  const client = connect(HealthClient, address, { ownConnection: true });
  stack.add("client", () => client.close());
  const on = session(address);

  const watches = [1, 2, 3].map(() => beginCall(on, WATCH, framed(Buffer.alloc(0))));

  await expect.poll(() => watches.map(({ status }) => status)).toEqual([-1, -1, RESOURCE_EXHAUSTED]);
  expect(await call(client, client.check, { service: "" }, soon)).toEqual({ status: 1 });
});

test("unfinished checks make room for the next one", async () => {
  const open = { ...DEFAULT_EDGE_LIMITS.open, calls: 2 };
  const address = await serving({ open });
  const client = connect(HealthClient, address, { ownConnection: true });
  stack.add("client", () => client.close());
  const on = session(address);
  const unfinished = [1, 2].map(() => beginCall(on, CHECK, unfinishedMessage(100)));
  await on.ping(() => {});

  await expect
    .poll(async () => {
      await call(client, client.check, { service: "" }, soon);
      return unfinished.map(({ status }) => status);
    })
    .toEqual([RESOURCE_EXHAUSTED, -1]);
});

test("a connection gets few streams until it has shown a token", async () => {
  const streams = { fresh: 3, org: 7, service: 9 };
  const address = await serving({ streams });
  const on = session(address);
  await once(on, "remoteSettings");
  const before = on.remoteSettings.maxConcurrentStreams;

  beginCall(on, ECHO, framed(Buffer.from("{}")), { authorization: `Bearer ${await tokenOf("acme")}` });
  await expect.poll(() => on.remoteSettings.maxConcurrentStreams).toBe(7);

  const service = session(address);
  const authorization = `Bearer ${await tokenOf("", ["internal"])}`;
  beginCall(service, ECHO, framed(Buffer.from("{}")), { authorization });
  await expect.poll(() => service.remoteSettings.maxConcurrentStreams).toBe(9);
  expect(before).toBe(3);
});

test("a connection that shows no token is closed when it is idle; one that has shown a token stays", async () => {
  const address = await serving({ newIdleMs: 500 });
  const authorization = `Bearer ${await tokenOf("acme")}`;
  const silent = net.connect(Number(address.split(":")[1]), "127.0.0.1").resume();
  const idle = session(address);
  const known = session(address);
  beginCall(known, ECHO, framed(Buffer.from("{}")), { authorization });

  await expect.poll(() => [silent.closed, idle.closed, known.closed]).toEqual([true, true, false]);
});

test("strangers who take all connections keep nobody out", async () => {
  const connections = { total: 100, perAddress: 100, newTotal: 4, newPerAddress: 4 };
  const address = await serving({ connections });
  const token = await tokenOf("acme");
  const strangers = Array.from({ length: 8 }, () => session(address));
  const client = connect(EchoClient, address, { token: () => token, ownConnection: true });
  stack.add("client", () => client.close());

  await expect
    .poll(() => call(client, client.one, { text: "hi" }, soon).catch(({ reason }) => reason))
    .toEqual({ text: "hi" });

  await expect.poll(() => strangers.filter(({ destroyed }) => !destroyed).length).toBeLessThan(5);
});

test("a stranger whose calls are refused again and again loses the connection", async () => {
  const address = await serving({ newRefusals: 5 });
  const on = session(address);

  for (let i = 0; i < 10; i += 1)
    beginCall(on, i % 2 === 0 ? ECHO : "/no.Such/Method", framed(Buffer.alloc(0)));

  await expect.poll(() => on.closed).toBe(true);
});

test("headers beyond the limit are refused", async () => {
  const on = session(await serving({ headerBytes: 2_048 }));

  const answer = beginCall(on, CHECK, framed(Buffer.alloc(0)), { padding: "x".repeat(4_096) });
  const fine = beginCall(on, CHECK, framed(Buffer.from([10, 0])), { padding: "x".repeat(512) });

  await expect.poll(() => answer).toEqual({ status: -1, isClosed: true });
  expect(fine.isClosed).toBe(false);
});

test("an organisation sends only so much at once; what it finishes counts no more, and others go on", async () => {
  const address = await serving({ requestBytes: 20_000, unfinishedBytes: 45_000 });
  const bearer = async (org: string) => ({ authorization: `Bearer ${await tokenOf(org)}` });
  const acme = await bearer("acme");
  const token = await tokenOf("acme");
  const client = connect(EchoClient, address, { token: () => token, ownConnection: true });
  stack.add("client", () => client.close());

  for (let i = 0; i < 5; i += 1) await call(client, client.one, { text: "x".repeat(15_000) }, soon);
  const tooLarge = await failure(call(client, client.one, { text: "x".repeat(30_000) }, soon));
  const sent = [1, 2, 3, 4].map(() => beginCall(session(address), ECHO, unfinishedMessage(15_000), acme));
  const other = beginCall(session(address), ECHO, unfinishedMessage(15_000), await bearer("umbrella"));

  await expect
    .poll(() => sent.filter(({ status }) => status === RESOURCE_EXHAUSTED).length)
    .toBeGreaterThan(0);
  expect(sent.filter(({ status }) => status === -1).length).toBeGreaterThan(1);
  expect(other.status).toBe(-1);
  expect(tooLarge).toMatchObject({ code: "RESOURCE_EXHAUSTED", reason: "REQUEST_TOO_LARGE" });
});

test("large requests of an organisation count until they are answered, small ones until they are whole", async () => {
  const limits = { requestBytes: 20_000, unfinishedBytes: 45_000, smallBytes: 10_000 };
  const answers: (() => void)[] = [];
  const one = unary(async ({ text }: { text: string }) => {
    await new Promise<void>((resolve) => answers.push(resolve));
    return { text: text.slice(0, 10) };
  });
  const token = await tokenOf("acme");
  const client = connect(EchoClient, await serving(limits, {}, one), {
    token: () => token,
    ownConnection: true,
  });
  stack.add("client", () => client.close());
  const send = (length: number) => call(client, client.one, { text: "x".repeat(length) }, soon);

  const small = [1, 2, 3, 4, 5, 6, 7].map(() => send(9_000));
  const large = [1, 2].map(() => send(18_000));
  await expect.poll(() => answers.length).toBe(9);
  const tooMuch = await failure(send(18_000));
  for (const answer of answers) answer();

  expect(tooMuch).toMatchObject({ code: "RESOURCE_EXHAUSTED", reason: "TOO_MUCH_UNFINISHED" });
  expect(await Promise.all([...small, ...large])).toHaveLength(9);
});

test("a call's share is given back when its stream has closed, and a refusal is the call's answer", async () => {
  const taken: string[] = [];
  const takeShare: ServerOptions["takeShare"] = ({ org }, path) => {
    taken.push(`${org} ${path}`);
    return () => taken.pop();
  };
  const address = await serving({}, { takeShare });
  const on = session(address);

  beginCall(on, ECHO, unfinishedMessage(100), { authorization: `Bearer ${await tokenOf("acme")}` });
  await expect.poll(() => taken).toEqual([`acme ${ECHO}`]);

  on.destroy();
  await expect.poll(() => taken).toEqual([]);
});

test("reflection asks for a token unless it is opened", async () => {
  const path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
  const closed = beginCall(session(await serving()), path, framed(Buffer.from([58, 0])));
  const open = beginCall(
    session(await serving({}, { hasOpenReflection: true })),
    path,
    framed(Buffer.from([58, 0])),
  );

  await expect.poll(() => closed.status).toBe(UNAUTHENTICATED);
  expect(open.status).toBe(-1);
});

test("health tells whoever asks, with a token that is not valid too", async () => {
  const address = await serving();
  const client = connect(HealthClient, address, { token: () => "nonsense", ownConnection: true });
  stack.add("client", () => client.close());

  expect(await call(client, client.check, { service: "" }, soon)).toEqual({ status: 1 });
  for await (const { status } of openStream(client, client.watch, { service: "" }, soon)) {
    expect(status).toBe(1);
    break;
  }
});
