import { createPublicKey } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import { ManualClock } from "../../../test/support/manual-clock.ts";
import { mintToken, TokenVerifier } from "../../lib/auth/auth.ts";
import { biscuits, dateOf } from "../../lib/auth/biscuit/user-token.ts";
import { generateKeyPair, publicBytes } from "../../lib/auth/keys.ts";
import { Access } from "./access.ts";
import { sessionCookie, sessionOf } from "./cookie.ts";
import { Origins } from "./origin.ts";
import { Tickets } from "./tickets.ts";

const keys = generateKeyPair();
biscuits.preload();

describe("links and sessions", () => {
  let clock: ManualClock;
  let access: Access;

  beforeEach(() => {
    clock = new ManualClock();
    access = new Access(new TokenVerifier(keys.publicKey, clock), clock);
  });

  async function asker(ttlSeconds: number) {
    const grant = { subject: "me", org: "acme", scopes: ["machines:read"] } as const;
    const token = await mintToken(keys.privateKey, grant, ttlSeconds, clock);
    return access.identify(`Bearer ${token}`, undefined);
  }

  test("a link works within a minute, and not after it", async () => {
    const [first, second] = [access.link(await asker(600), "/"), access.link(await asker(600), "/")];

    clock.advance(59_999);
    expect(access.open(first).view).toBe("/");
    clock.advance(1);
    expect(() => access.open(second)).toThrow("older than a minute");
  });

  test("a session ends with its token", async () => {
    const { session, lifeMs } = access.open(access.link(await asker(600), "/"));
    expect(lifeMs).toBeLessThanOrEqual(600_000);

    clock.advance(599_000);
    expect(await access.identify(undefined, session)).toMatchObject({ org: "acme", isSession: true });
    clock.advance(1_001);
    await expect(access.identify(undefined, session)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  });

  test("a session of a long token ends after twelve hours", async () => {
    const { session, lifeMs } = access.open(access.link(await asker(86_400), "/"));
    expect(lifeMs).toBe(12 * 3_600_000);

    clock.advance(12 * 3_600_000);

    await expect(access.identify(undefined, session)).rejects.toMatchObject({ reason: "SESSION_OVER" });
  });

  test("a view of a token that is restricted by time among others ends with that time", async () => {
    const grant = { subject: "me", org: "acme", scopes: ["machines:read"] } as const;
    const until = dateOf(clock.now() + 60_000);
    const token = await biscuits.attenuate(
      await mintToken(keys.privateKey, grant, 600, clock),
      publicBytes(createPublicKey(keys.publicKey)),
      `check if time($t), $t < ${until}, action("traces:read")`,
    );
    const own = await access.identify(`Bearer ${token}`, undefined);

    expect(access.isStillAllowed(own, undefined)).toBe(true);
    clock.advance(61_000);
    expect(access.isStillAllowed(own, undefined)).toBe(false);
  });

  test("a token counts before a session, also when it is not valid", async () => {
    const { session } = access.open(access.link(await asker(600), "/"));

    await expect(access.identify("Bearer x", session)).rejects.toMatchObject({ reason: "TOKEN_INVALID" });
  });
});

describe("tickets", () => {
  test("are bounded for each holder, whose oldest goes, and in all", () => {
    const tickets = new Tickets<number>({ perHolder: 2, total: 3, lifeMs: 1_000 }, new ManualClock());
    const [a1, a2, a3] = [tickets.issue("a", 1), tickets.issue("a", 2), tickets.issue("a", 3)];
    const [b1, c1] = [tickets.issue("b", 4), tickets.issue("c", 5)];

    expect([a1, a2, a3, b1, c1].map((secret) => tickets.find(secret)?.value)).toEqual([
      ...[undefined, undefined, 3, 4, 5],
    ]);
  });

  test("are taken once", () => {
    const tickets = new Tickets<number>({ perHolder: 2, total: 3, lifeMs: 1_000 }, new ManualClock());
    const secret = tickets.issue("a", 1);

    expect([tickets.take(secret), tickets.take(secret), tickets.take("")]).toEqual([1, undefined, undefined]);
  });
});

describe("the cookie", () => {
  test("over TLS is bound to the host and sent by TLS only", () => {
    expect(sessionCookie("s", 90_500, true)).toBe(
      "__Host-windhover-console=s; Path=/; HttpOnly; SameSite=Strict; Max-Age=90; Secure",
    );
  });

  test.each([
    ["a=b; windhover-console=xyz; c=d", "xyz"],
    ["not-windhover-console=xyz", undefined],
    ["windhover-console=", undefined],
    ["windhover-console", undefined],
    [undefined, undefined],
  ])("is found in %j", (header, session) => {
    expect(sessionOf(header, false)).toBe(session);
  });

  test("without TLS does not count behind TLS: another port could have set it", () => {
    expect(sessionOf("windhover-console=xyz", true)).toBeUndefined();
  });
});

describe("the name of the console", () => {
  test.each([
    ["127.0.0.1:7090", true],
    ["LOCALHOST:7090", true],
    ["[::1]:7090", true],
    ["console.example", true],
    ["console.example:7090", false],
    ["127.0.0.1", false],
    ["evil.example:7090", false],
    ["127.0.0.1.evil.example:7090", false],
    ["", false],
  ])("%j: %s", (host, isOwn) => {
    const origins = new Origins(7_090, "https://console.example");

    const check = () => origins.check({ host }, true);

    if (isOwn) expect(check).not.toThrow();
    else expect(check).toThrow("not served under this name");
    expect([origins.own, origins.isSecure]).toEqual(["https://console.example", true]);
  });
});
