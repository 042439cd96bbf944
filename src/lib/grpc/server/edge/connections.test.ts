import { afterEach, expect, test } from "vitest";
import { addEcho, EchoClient } from "../../../../../test/support/net/echo.ts";
import { framed } from "../../../../../test/support/net/flood.ts";
import { beginCall, openSession } from "../../../../../test/support/net/raw-call.ts";
import { mintToken, TokenVerifier } from "../../../auth/auth.ts";
import type { Scope } from "../../../auth/claims.ts";
import { generateKeyPair } from "../../../auth/keys.ts";
import { onAbort } from "../../../runtime/abort.ts";
import { Stack } from "../../../runtime/lifecycle.ts";
import { createLogger } from "../../../runtime/log.ts";
import { addHealth, Health } from "../../builtin/health.ts";
import { call, connect } from "../../client.ts";
import { unary } from "../rpc.ts";
import { createServer, serve } from "../serve.ts";
import { DEFAULT_EDGE_LIMITS, type EdgeLimits } from "./limits.ts";

createLogger("test", { write: () => {} });

const KEYS = generateKeyPair();
const ECHO = "/test.v1.Echo/One";
const UNAUTHENTICATED = 16;
const CHECK = "/grpc.health.v1.Health/Check";

let stack = new Stack();
/** Calls that hang until their caller goes. */
let hanging = 0;
afterEach(async () => {
  await stack.close();
  stack = new Stack();
  hanging = 0;
});

async function serving(limits: Partial<EdgeLimits>): Promise<string> {
  const server = createServer({ verifier: new TokenVerifier(KEYS.publicKey), limits });
  const health = new Health([]);
  addEcho(server, {
    one: unary(async ({ text }, { signal }) => {
      if (text !== "hang") return { text };
      hanging += 1;
      await new Promise<void>((resolve) => onAbort(signal, resolve));
      return { text };
    }),
  });
  addHealth(server, health);
  const close = await serve(server, "127.0.0.1:0", 100, health);
  stack.add("server", close);
  return `127.0.0.1:${close.port}`;
}

function tokenOf(org: string, scopes: readonly Scope[]): Promise<string> {
  return mintToken(KEYS.privateKey, { subject: "somebody", org, scopes }, 3_600);
}

async function clientOf(address: string, org: string, scopes: readonly Scope[]): Promise<EchoClient> {
  const token = await tokenOf(org, scopes);
  const client = connect(EchoClient, address, { token: () => token, ownConnection: true });
  stack.add("client", () => client.close());
  return client;
}

/** Begins calls that hang, and breaks them off. */
async function breakOff(client: EchoClient, count: number): Promise<void> {
  const before = hanging;
  const gone = new AbortController();
  const scope = { timeoutMs: 60_000, signal: gone.signal };
  const calls = Array.from({ length: count }, () => call(client, client.one, { text: "hang" }, scope));
  const ended = Promise.allSettled(calls);
  await expect.poll(() => hanging, { timeout: 20_000 }).toBeGreaterThanOrEqual(before + count);
  gone.abort();
  await ended;
}

test("a service keeps its connection when thousands of its callers go at once", async () => {
  const client = await clientOf(await serving({}), "", ["internal"]);
  await call(client, client.one, { text: "known" }, { timeoutMs: 15_000 });
  const others = call(client, client.one, { text: "hang" }, { timeoutMs: 60_000 }).catch(({ code }) => code);
  await expect.poll(() => hanging).toBe(1);
  let isOver = false;
  void others.then(() => {
    isOver = true;
  });

  for (let i = 0; i < 3; i++) await breakOff(client, 1_000);

  expect(await call(client, client.one, { text: "hi" }, { timeoutMs: 15_000 })).toEqual({ text: "hi" });
  expect(isOver).toBe(false);
});

test("an organisation that breaks off call after call loses its connection", async () => {
  const resets = { fresh: { burst: 5, perSecond: 1 }, org: { burst: 20, perSecond: 1 } };
  const client = await clientOf(await serving({ resets }), "acme", ["machines:read"]);
  await call(client, client.one, { text: "known" }, { timeoutMs: 15_000 });
  const other = call(client, client.one, { text: "hang" }, { timeoutMs: 60_000 }).catch(({ code }) => code);
  await expect.poll(() => hanging).toBe(1);

  await breakOff(client, 15);
  expect(await call(client, client.one, { text: "hi" }, { timeoutMs: 15_000 })).toEqual({ text: "hi" });
  await breakOff(client, 30);

  expect(await other).not.toBe("DEADLINE_EXCEEDED");
});

test("a stranger's calls of open methods are counted, whatever token they show", async () => {
  const open = { ...DEFAULT_EDGE_LIMITS.open, burst: 5, perSecond: 0.001 };
  const on = openSession(stack, await serving({ open }));

  const calls = Array.from({ length: 8 }, () =>
    beginCall(on, CHECK, framed(Buffer.from([10, 0])), { authorization: "Bearer nonsense" }),
  );

  await expect.poll(() => calls.filter(({ isClosed }) => isClosed).length).toBe(3);
});

test("many refusals are answered late, except to services", async () => {
  const refusals = { burst: 2, perSecond: 0.001, delayMs: 600_000 };
  const address = await serving({ refusals });
  const [user, service] = [openSession(stack, address), openSession(stack, address)];
  const known = { authorization: `Bearer ${await tokenOf("acme", ["machines:read"])}` };
  const trusted = { authorization: `Bearer ${await tokenOf("", ["internal"])}` };
  const hi = framed(Buffer.alloc(0));
  const first = [beginCall(user, ECHO, hi, known), beginCall(service, ECHO, hi, trusted)];
  await expect.poll(() => first.map(({ isClosed }) => isClosed)).toEqual([true, true]);

  const refused = Array.from({ length: 5 }, () => beginCall(user, ECHO, hi));
  await expect.poll(() => refused.filter(({ status }) => status === UNAUTHENTICATED).length).toBe(2);
  const ofService = Array.from({ length: 5 }, () => beginCall(service, ECHO, hi));

  await expect.poll(() => ofService.filter(({ status }) => status === UNAUTHENTICATED).length).toBe(5);
  expect(refused.filter(({ status }) => status === UNAUTHENTICATED).length).toBe(2);
});

test("an organisation that calls methods there are not loses its connection", async () => {
  const resets = { fresh: { burst: 5, perSecond: 1 }, org: { burst: 20, perSecond: 0.001 } };
  const on = openSession(stack, await serving({ resets }));
  const known = { authorization: `Bearer ${await tokenOf("acme", ["machines:read"])}` };
  const first = beginCall(on, ECHO, framed(Buffer.alloc(0)), known);
  await expect.poll(() => first.isClosed).toBe(true);

  for (let i = 0; i < 30; i++) beginCall(on, "/no.Such/Method", framed(Buffer.alloc(0)), known);

  await expect.poll(() => on.closed).toBe(true);
});
