import { once } from "node:events";
import { ROOT_CONTEXT } from "@opentelemetry/api";
import { expect, test } from "vitest";
import { addEcho, definition, failure, pending } from "../../../../../test/support/net/echo.ts";
import type { AuditEntry } from "../../../audit/audit-entry.ts";
import { mintToken, TokenVerifier } from "../../../auth/auth.ts";
import { generateKeyPair } from "../../../auth/keys.ts";
import type { RpcRule } from "../../../auth/rpc-rules.ts";
import { Fault, invalid } from "../../../faults/fault.ts";
import { createLogger } from "../../../runtime/log.ts";
import { bidiStream, type CallContext, serverStream, unary } from "../rpc.ts";
import { createServer, localCallsOf } from "../serve.ts";
import type { LocalCaller } from "./local-calls.ts";

createLogger("test", { write: () => {} });

const KEYS = generateKeyPair();
const SOON_MS = 15_000;
const FOREVER = Number.POSITIVE_INFINITY;
const { one, down, both } = definition;

type Handlers = Parameters<typeof addEcho>[1];

/** Calls of a server that checks tokens, with the shares and audit entries that it took. */
async function local(handlers: Handlers) {
  const entries: AuditEntry[] = [];
  const shares: string[] = [];
  const rule: RpcRule = {
    action: "machines:start",
    scopes: ["machines:write"],
    isAudited: true,
    needsGoodStanding: false,
  };
  const server = createServer({
    verifier: new TokenVerifier(KEYS.publicKey),
    rules: new Map([one, down, both].map(({ path }) => [path, rule])),
    audit: { record: (entry) => entries.push(entry) },
    takeShare: ({ org }, path) => {
      shares.push(`${org} ${path}`);
      return () => shares.push("released");
    },
  });
  addEcho(server, handlers);
  const bearer = await mintToken(
    KEYS.privateKey,
    { subject: "me", org: "acme", scopes: ["machines:write"] },
    600,
  );
  return { calls: localCallsOf(server), entries, shares, bearer: `Bearer ${bearer}` };
}

/** A caller, and what ends it. */
function caller(authorization: string | undefined) {
  const gone = new AbortController();
  const closed: (() => void)[] = [];
  const it: LocalCaller = {
    peer: "127.0.0.1:9",
    connection: "1",
    authorization,
    context: ROOT_CONTEXT,
    signal: gone.signal,
    identified() {},
    unreadBytes: 0,
    breakOff() {},
    onClosed: (callback) => closed.push(callback),
  };
  return {
    it,
    leave: () => gone.abort(),
    close: () => {
      for (const callback of closed) callback();
    },
  };
}

test("a unary call is checked, counted and audited as over gRPC", async () => {
  const { calls, entries, shares, bearer } = await local({
    one: unary(({ text }) => ({ text: `${text}!` })),
  });
  const { it, close } = caller(bearer);

  const answer = await (await calls.begin(one, it, SOON_MS)).unary({ text: "hi" });
  close();

  expect(answer).toEqual({ text: "hi!" });
  expect(shares).toEqual([`acme ${one.path}`, "released"]);
  expect(entries).toMatchObject([
    { method: one.path.slice(1), action: "machines:start", code: "OK", subject: "me", client: "127.0.0.1:9" },
  ]);
});

test("a caller without a valid token, or with too little, is refused before its request is read", async () => {
  const { calls, entries, shares } = await local({ one: unary(({ text }) => ({ text })) });
  const reader = await mintToken(
    KEYS.privateKey,
    { subject: "me", org: "acme", scopes: ["machines:read"] },
    600,
  );

  await expect(calls.begin(one, caller(undefined).it, SOON_MS)).rejects.toMatchObject({
    code: "UNAUTHENTICATED",
    reason: "TOKEN_MISSING",
  });
  await expect(calls.begin(one, caller(`Bearer ${reader}`).it, SOON_MS)).rejects.toMatchObject({
    code: "PERMISSION_DENIED",
    reason: "SCOPE_MISSING",
  });

  expect(shares).toEqual([]);
  expect(entries.map(({ reason }) => reason)).toEqual(["TOKEN_MISSING", "SCOPE_MISSING"]);
});

test("several calls of one caller take one share", async () => {
  const { calls, shares, bearer } = await local({ one: unary(({ text }) => ({ text })) });
  const { it } = caller(bearer);

  for (const text of ["a", "b"]) await (await calls.begin(one, it, SOON_MS)).unary({ text });

  expect(shares).toEqual([`acme ${one.path}`]);
});

test("a fault arrives with its reason, facts and violations", async () => {
  const { calls, bearer } = await local({
    one: unary(() => {
      throw invalid([{ field: "text", description: "is wrong" }]);
    }),
  });
  const call = await calls.begin(one, caller(bearer).it, SOON_MS);

  await expect(call.unary({ text: "" })).rejects.toMatchObject({
    reason: "INVALID_FIELDS",
    facts: { fields: "text" },
    violations: [{ field: "text", description: "is wrong" }],
  });
});

test("a handler hears of a caller who goes, and of a deadline that passes", async () => {
  const reasons: unknown[] = [];
  const { calls, bearer } = await local({
    one: unary(async (_, ctx) => {
      await pending(ctx.signal).catch((err: unknown) => reasons.push(err));
      return { text: "" };
    }),
  });
  const { it, leave } = caller(bearer);
  const call = await calls.begin(one, it, FOREVER);
  const answer = failure(call.unary({ text: "" }));
  leave();
  const overdue = failure((await calls.begin(one, caller(bearer).it, 500)).unary({ text: "" }));

  expect(await answer).toMatchObject({ code: "CANCELLED" });
  expect(await overdue).toMatchObject({ code: "DEADLINE_EXCEEDED" });
  await expect.poll(() => reasons).toMatchObject([{ code: "CANCELLED" }, { code: "DEADLINE_EXCEEDED" }]);
});

test("a stream of responses is no faster than its reader, and leaving the loop ends its handler", async () => {
  const ended = Promise.withResolvers<unknown>();
  let produced = 0;
  const { calls, bearer, entries } = await local({
    down: serverStream(async function* (_, ctx) {
      try {
        for (;;) yield { text: String(produced++) };
      } finally {
        ended.resolve(ctx.signal.reason);
      }
    }),
  });
  const call = await calls.begin(down, caller(bearer).it, FOREVER);
  const texts: string[] = [];

  for await (const { text } of call.stream({ text: "" })) {
    texts.push(text);
    if (texts.length === 3) break;
  }

  expect(texts).toEqual(["0", "1", "2"]);
  expect(await ended.promise).toMatchObject({ code: "CANCELLED" });
  expect(produced).toBeLessThan(100);
  expect(entries).toMatchObject([{ code: "CANCELLED" }]);
});

test("a stream that fails says why after what it has sent", async () => {
  const { calls, bearer } = await local({
    down: serverStream(async function* () {
      yield { text: "first" };
      throw new Fault("NOT_FOUND", "GONE", "it is gone");
    }),
  });
  const stream = (await calls.begin(down, caller(bearer).it, FOREVER)).stream({ text: "" });

  expect(await stream.next()).toMatchObject({ value: { text: "first" } });
  await expect(stream.next()).rejects.toMatchObject({ reason: "GONE" });
});

test("a call with streams both ways carries both, and ends with its handler", async () => {
  const { calls, bearer } = await local({
    both: bidiStream(async function* (requests) {
      for await (const { text } of requests) yield { text: text.toUpperCase() };
      yield { text: "end" };
    }),
  });
  const call = await calls.begin(both, caller(bearer).it, FOREVER);
  async function* requests() {
    for (let i = 0; i < 50; i++) yield { text: `a${i}` };
  }
  const texts: string[] = [];

  for await (const { text } of call.duplex(requests())) texts.push(text);

  expect(texts).toEqual([...Array.from({ length: 50 }, (_, i) => `A${i}`), "end"]);
});

test("a request that its caller got wrong fails a call with streams", async () => {
  const { calls, bearer } = await local({
    both: bidiStream(async function* (requests) {
      for await (const request of requests) yield request;
    }),
  });
  const call = await calls.begin(both, caller(bearer).it, FOREVER);
  async function* requests() {
    yield { text: "fine" };
    throw invalid([{ field: "text", description: "is wrong" }]);
  }
  const stream = call.duplex(requests());

  await expect(Array.fromAsync(stream)).rejects.toMatchObject({ reason: "INVALID_FIELDS" });
});

test("streams end when the server shuts down", async () => {
  const begun = Promise.withResolvers<CallContext>();
  const { calls, bearer } = await local({
    down: serverStream(async function* (_, ctx) {
      begun.resolve(ctx);
      await once(ctx.draining, "abort");
      await pending(ctx.signal);
      yield { text: "never" };
    }),
  });
  const stream = (await calls.begin(down, caller(bearer).it, FOREVER)).stream({ text: "" });
  const next = stream.next();
  await begun.promise;

  calls.drain();

  await expect(next).rejects.toMatchObject({ code: "UNAVAILABLE", reason: "SERVER_DRAINING" });
});
