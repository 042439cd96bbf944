import { createPublicKey } from "node:crypto";
import { mkdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { mintToken, TokenVerifier } from "../../../../src/lib/auth/auth.ts";
import { generateKeyPair, publicBytes } from "../../../../src/lib/auth/keys.ts";
import { useCli } from "../support.ts";

const cli = useCli();
const keys = generateKeyPair();
const key = publicBytes(createPublicKey(keys.publicKey)).toString("hex");
// No API is asked: nobody listens there.
const OFFLINE = { WINDHOVER_API: "127.0.0.1:1" };

async function withToken() {
  const grant = { subject: "me", org: "acme", scopes: ["machines:read", "machines:write"] } as const;
  return { ...OFFLINE, WINDHOVER_TOKEN: await mintToken(keys.privateKey, grant, 3_600) };
}

describe("tokens", () => {
  test("are restricted offline by their holder, and say so", async () => {
    const env = await withToken();
    const flags = [
      "--org",
      "acme",
      "--app",
      "web,shop",
      "--action",
      "machines:read",
      "--ttl",
      "10m",
      "--key",
      key,
    ];

    const made = await cli.home.hoverWith(env, "token", "attenuate", ...flags);
    const token = made.out.trim();
    const shown = await cli.home.hoverWith(
      { ...OFFLINE, WINDHOVER_TOKEN: token },
      ...["token", "inspect", "--key", key, "--json"],
    );

    expect([made.code, made.err]).toEqual([0, expect.stringMatching(/^Expires in 9m|^Expires in 10m/)]);
    const claims = await new TokenVerifier(keys.publicKey).verify(`Bearer ${token}`);
    expect(claims.expiresMs - Date.now()).toBeLessThanOrEqual(600_000);
    expect(JSON.parse(shown.out)).toMatchObject({
      org: "acme",
      subject: "me",
      id: claims.id,
      blocks: claims.ids.slice(1),
      restrictions: [
        'check if org("acme")',
        'check if app("web") or app("shop")',
        'check if action("machines:read")',
      ],
    });
    expect(made.err).toContain(claims.ids[1]);
  });

  test("are restricted to machines and actions until a time, in plain flags", async () => {
    const env = await withToken();
    const flags = ["--machine", "0000a1b2c3d4e5", "--action", "machines:start,machines:stop", "--key", key];
    const inspect = async (token: string) => {
      const as = { ...OFFLINE, WINDHOVER_TOKEN: token.trim() };
      return JSON.parse((await cli.home.hoverWith(as, "token", "inspect", "--key", key, "--json")).out);
    };
    const until = new Date(Date.now() + 600_000);

    const byTime = await cli.home.hoverWith(
      env,
      "token",
      "attenuate",
      ...flags,
      "--expires",
      until.toISOString(),
    );
    const byLength = await cli.home.hoverWith(env, "token", "attenuate", ...flags, "--expires", "10m");
    const past = await cli.home.hoverWith(env, "token", "attenuate", ...flags, "--expires", "2020-01-01");

    const { restrictions, expire_time: expireTime } = await inspect(byTime.out);
    expect(restrictions).toEqual([
      'check if machine("0000a1b2c3d4e5")',
      'check if action("machines:start") or action("machines:stop")',
    ]);
    expect(Date.parse(expireTime)).toBe(Math.floor(until.getTime() / 1_000) * 1_000);
    expect(Date.parse((await inspect(byLength.out)).expire_time) - Date.now()).toBeLessThanOrEqual(600_000);
    expect([past.code, past.err]).toEqual([2, expect.stringContaining("Write a time that is to come")]);
  });

  test("are not restricted to nothing, nor with another cluster's key", async () => {
    const env = await withToken();
    const other = publicBytes(createPublicKey(generateKeyPair().publicKey)).toString("hex");

    const nothing = await cli.home.hoverWith(env, "token", "attenuate", "--key", key);
    const wrong = await cli.home.hoverWith(env, "token", "inspect", "--key", other);
    const odd = await cli.home.hoverWith(env, "token", "attenuate", "--app", 'a"b', "--key", key);

    expect([nothing.code, nothing.err]).toEqual([2, expect.stringContaining("--app")]);
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining("TOKEN_INVALID")]);
    expect([odd.code, odd.err]).toEqual([2, expect.stringContaining('a"b')]);
  });
});

test("keys are made, listed and kept while they may sign", async () => {
  const dir = join(cli.home.dir, "own-keys");
  mkdirSync(dir);
  const run = (...args: string[]) => cli.home.hoverWith(OFFLINE, "key", ...args, "--dir", dir);

  const made = [await run("rotate"), await run("rotate", "--json")];
  const listed = JSON.parse((await run("list", "--json")).out);
  // The keys stay new, however long the commands take.
  const later = new Date(Date.now() + 60_000);
  utimesSync(join(dir, "2.private.pem"), later, later);
  const removed = await run("remove", "--key", "1");

  expect(made.map(({ code }) => code)).toEqual([0, 0]);
  expect(JSON.parse(made[1]?.out ?? "")).toEqual({ id: 2, dir, signs_in_seconds: 5 });
  expect(listed).toMatchObject([
    { id: 1, role: "verifies" },
    { id: 2, role: "signs", public_key: expect.stringMatching(/^[0-9a-f]{64}$/) },
  ]);
  expect([removed.code, removed.err]).toEqual([1, expect.stringContaining("KEY_IN_USE")]);
});
