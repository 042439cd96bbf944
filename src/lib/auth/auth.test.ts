import { createPrivateKey } from "node:crypto";
import { SignJWT } from "jose";
import { expect, test } from "vitest";
import { ManualClock } from "../../../test/support/manual-clock.ts";
import { EchoClient, echo } from "../../../test/support/net/echo.ts";
import type { Fault } from "../faults/fault.ts";
import { call, connect } from "../grpc/client.ts";
import { unary } from "../grpc/server/rpc.ts";
import { createLogger } from "../runtime/log.ts";
import { mintToken, TokenVerifier } from "./auth.ts";
import { type Claims, type Grant, requireScope } from "./claims.ts";
import { generateKeyPair } from "./keys.ts";
import { Revocations } from "./revocations.ts";
import { internalTokens, tokenMetadata } from "./tokens.ts";

createLogger("test", { write: () => {} });

const keys = generateKeyPair();
const claims: Grant = { subject: "me", org: "acme", scopes: ["machines:read", "machines:write"] };
const verified: Claims = { ...claims, id: "1", ids: ["1"], issuedMs: 0, expiresMs: 1, checks: [] };
const soon = { timeoutMs: 15_000 };

test.each(["Bearer", "bearer", "FlyV1", "Bearer FlyV1"])(
  "a token is taken under the scheme %s",
  async (scheme) => {
    const token = await mintToken(keys.privateKey, claims, 60);

    expect(await new TokenVerifier(keys.publicKey).verify(`${scheme} ${token}`)).toMatchObject(claims);
  },
);

test("a token is refused once it has expired, also when it was verified before", async () => {
  const clock = new ManualClock();
  const verifier = new TokenVerifier(keys.publicKey, clock);
  const header = `Bearer ${await mintToken(keys.privateKey, claims, 60, clock)}`;

  clock.advance(59_000);
  await verifier.verify(header);
  clock.advance(1_500);

  await expect(verifier.verify(header)).rejects.toMatchObject({
    code: "UNAUTHENTICATED",
    reason: "TOKEN_EXPIRED",
  });
  await expect(verifier.verify(header)).rejects.toMatchObject({ reason: "TOKEN_EXPIRED" });
});

test("a token that was taken lapses when it is revoked or expires; a service's does not expire under a call", async () => {
  const clock = new ManualClock();
  const revocations = new Revocations();
  const verifier = new TokenVerifier(keys.publicKey, clock, revocations);
  const take = async (grant: Grant) =>
    verifier.verify(`Bearer ${await mintToken(keys.privateKey, grant, 60, clock)}`);
  const user = await take(claims);
  const service = await take({ subject: "host-1", org: "", scopes: ["internal"] });
  const lapses = () => [user, service].map((each) => verifier.lapse(each)?.reason);

  const first = lapses();
  clock.advance(61_000);
  const later = lapses();
  revocations.replace({ version: 1, tokens: [user.id, service.id], orgs: [] });

  expect([first, later, lapses()]).toEqual([
    [undefined, undefined],
    ["TOKEN_EXPIRED", undefined],
    ["TOKEN_REVOKED", "TOKEN_REVOKED"],
  ]);
});

test("a token verified once is not checked again until it expires", async () => {
  const verifier = new TokenVerifier(keys.publicKey);
  const header = `Bearer ${await mintToken(keys.privateKey, claims, 60)}`;

  const [first, second] = [await verifier.verify(header), await verifier.verify(header)];

  expect(second).toBe(first);
});

test("of many tokens the oldest are forgotten, and verified anew", async () => {
  const verifier = new TokenVerifier(keys.publicKey);
  const headers = await Promise.all(
    Array.from({ length: 2_060 }, async (_, i) => {
      return `Bearer ${await mintToken(keys.privateKey, { ...claims, subject: `user${i}` }, 60)}`;
    }),
  );

  const [first, ...others] = headers;

  const before = await verifier.verify(first);
  for (const header of others) await verifier.verify(header);
  const after = await verifier.verify(first);

  expect(after).toEqual(before);
  // Another object: the first one was forgotten to make room.
  expect(after).not.toBe(before);
}, 20_000);

test.each([undefined, "", "  "])("without a token the reason is TOKEN_MISSING (%j)", async (header) => {
  await expect(new TokenVerifier(keys.publicKey).verify(header)).rejects.toMatchObject({
    code: "UNAUTHENTICATED",
    reason: "TOKEN_MISSING",
  });
});

test("what is not a token of this cluster is TOKEN_INVALID", async () => {
  const good = await mintToken(keys.privateKey, claims, 60);
  const [head = "", body = "", signature = ""] = good.split(".");
  const forged = Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url");
  const mine = new TextEncoder().encode(keys.publicKey);
  const bad = {
    "another key": await mintToken(generateKeyPair().privateKey, claims, 60),
    altered: [head, `${body.slice(0, -2)}AA`, signature].join("."),
    unsigned: [forged, body, ""].join("."),
    "public key as a shared secret": await new SignJWT({ org: "x", scope: "admin" })
      .setProtectedHeader({ alg: "HS256" })
      .setSubject("me")
      .setIssuer("windhover.dev")
      .setExpirationTime("1h")
      .sign(mine),
    "not a token": "hello",
    "too long": "x".repeat(100_000),
  };
  const verifier = new TokenVerifier(keys.publicKey);

  for (const [what, token] of Object.entries(bad)) {
    await expect(verifier.verify(`Bearer ${token}`), what).rejects.toMatchObject({ reason: "TOKEN_INVALID" });
  }
  await expect(verifier.verify(`Basic ${good}`)).rejects.toMatchObject({ reason: "TOKEN_INVALID" });
});

test("of several tokens in one header the first that is valid counts, and all of none are refused", async () => {
  const clock = new ManualClock();
  const verifier = new TokenVerifier(keys.publicKey, clock);
  const mint = (ttlSeconds: number) => mintToken(keys.privateKey, claims, ttlSeconds, clock);
  const [short, long] = [await mint(60), await mint(3_600)];
  const header = `FlyV1 fm2_nonsense,${short}, ${long}`;

  const first = await verifier.verify(header);
  clock.advance(120_000);
  const second = await verifier.verify(header);

  expect(second).toMatchObject(claims);
  expect(second.id).not.toBe(first.id);
  verifier.revocations.replace({ version: 1, tokens: [second.id], orgs: [] });
  await expect(verifier.verify(header)).rejects.toMatchObject({ reason: "TOKEN_EXPIRED" });
  for (const bad of ["FlyV1 ,", "Bearer fm2_a,fm2_b", `Bearer ${long} x`, `FlyV1 ${"x,".repeat(5)}${long}`])
    await expect(verifier.verify(bad), bad).rejects.toMatchObject({ reason: "TOKEN_INVALID" });
  await expect(verifier.verify(`Bearer ${short}, Bearer fm2_a`)).rejects.toMatchObject({
    reason: "TOKEN_EXPIRED",
  });
});

test("while keys are being replaced, tokens of both are taken", async () => {
  const next = generateKeyPair();
  const verifier = new TokenVerifier([keys.publicKey, next.publicKey]);
  const signers = [keys, next].map(({ privateKey }, i) => ({ id: i + 1, key: createPrivateKey(privateKey) }));

  for (const signer of signers) {
    const token = await mintToken(signer, claims, 60);
    expect(await verifier.verify(`Bearer ${token}`)).toMatchObject(claims);
  }
});

test("a scope that is missing is named, with those that are there", () => {
  const fault = caught(() => requireScope({ claims: verified }, "admin", "internal"));

  expect(fault).toMatchObject({
    code: "PERMISSION_DENIED",
    reason: "SCOPE_MISSING",
    facts: { needed: "admin,internal", present: "machines:read,machines:write" },
  });
  expect(requireScope({ claims: verified }, "admin", "machines:read")).toBe(verified);
  expect(caught(() => requireScope({ claims: undefined }, "admin"))).toMatchObject({
    reason: "TOKEN_MISSING",
  });
});

test("a server with a verifier shows handlers who calls, and lets nobody else through", async () => {
  let calls = 0;
  await using service = await echo(
    {
      one: unary((_, ctx) => {
        calls++;
        return { text: requireScope(ctx, "machines:read").subject };
      }),
    },
    { verifier: new TokenVerifier(keys.publicKey) },
  );
  const { client } = service;
  const metadata = tokenMetadata(await mintToken(keys.privateKey, claims, 60));

  const refused = await call(client, client.one, { text: "" }, soon).catch((err: unknown) => err);
  const answer = await call(client, client.one, { text: "" }, { ...soon, metadata });

  expect(refused).toMatchObject({ code: "UNAUTHENTICATED", reason: "TOKEN_MISSING" });
  expect(answer.text).toBe("me");
  expect(calls).toBe(1);
});

test("a service's own token is used for its calls and replaced before it expires", async () => {
  const clock = new ManualClock();
  const source = internalTokens(keys.privateKey, "api", clock);
  const verifier = new TokenVerifier(keys.publicKey, clock);
  await using service = await echo(
    { one: unary((_, ctx) => ({ text: requireScope(ctx, "internal").subject })) },
    { verifier },
  );
  const client = connect(EchoClient, service.address, { token: source });

  const first = await source();
  const same = await source();
  const answer = await call(client, client.one, { text: "" }, soon);
  clock.advance(3_000_000);
  const renewed = await source();
  clock.advance(1_200_000);
  const later = await call(client, client.one, { text: "" }, soon);
  client.close();

  expect(same).toBe(first);
  expect(renewed).not.toBe(first);
  expect([answer.text, later.text]).toEqual(["api", "api"]);
});

function caught(fn: () => unknown): Fault {
  try {
    fn();
  } catch (err) {
    return err as Fault;
  }
  throw new Error("expected a fault");
}
