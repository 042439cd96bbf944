import { createPublicKey } from "node:crypto";
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../../../test/support/manual-clock.ts";
import { mintToken, TokenVerifier } from "../auth.ts";
import { failingCheck } from "../checks.ts";
import type { Claims } from "../claims.ts";
import { generateKeyPair, publicBytes } from "../keys.ts";
import { Revocations } from "../revocations.ts";
import { isPlain, parseBlock } from "./block-source.ts";
import { biscuits, dateOf } from "./user-token.ts";

const keys = generateKeyPair();
const key = publicBytes(createPublicKey(keys.publicKey));
const grant = { subject: "me@example.org", org: "acme", scopes: ["machines:read"] } as const;

async function attenuated(code: string, ...more: readonly string[]): Promise<string> {
  let token = await mintToken(keys.privateKey, grant, 3_600);
  for (const each of [code, ...more]) token = await biscuits.attenuate(token, key, each);
  return token;
}

function verify(token: string, verifier = new TokenVerifier(keys.publicKey)): Promise<Claims> {
  return verifier.verify(`Bearer ${token}`);
}

describe("a holder's checks", () => {
  const NOW = Date.UTC(2026, 10, 29);
  const facts = { action: ["machines:start"], org: ["acme"], app: ["web"], machine: ["0000a1"], time: [NOW] };

  test.each([
    ['check if app("web")', true],
    ['check if app("shop")', false],
    ['check if app("shop") or app("web")', true],
    ['check if app($a), ["web", "shop"].contains($a)', true],
    ['check if app($a), {"shop"}.contains($a)', false],
    ['check if action($a), $a.starts_with("machines:")', true],
    ['check if action($a), $a.starts_with("apps:")', false],
    ['check if machine($m), $m == "0000a1", app("web")', true],
    ['check if machine($m), $m == "0000a2", app("web")', false],
    ['check if org("acme"), action("machines:stop")', false],
    ["check if app($x), org($x)", false],
    ["check if time($t), $t < 2027-01-01T00:00:00Z, $t > 2026-01-01T00:00:00Z", true],
    ["check if time($t), $t >= 2027-01-01T00:00:00Z", false],
    // What a call does not have fails.
    ['check if region("ord")', false],
    ['check if constructor("x")', false],
  ])("%s: %s", async (code, holds) => {
    const { checks } = await verify(await attenuated(code));

    expect(checks).toHaveLength(1);
    expect(failingCheck(checks, facts) === undefined).toBe(holds);
  });

  test("all count, of all holders", async () => {
    const { checks } = await verify(
      await attenuated('check if app("web")', 'check if action("machines:stop")'),
    );

    expect(failingCheck(checks, facts)?.source).toBe('check if action("machines:stop")');
  });
});

test("a holder can shorten a token's life, and not lengthen it", async () => {
  const clock = new ManualClock(Date.now());
  const verifier = new TokenVerifier(keys.publicKey, clock);
  const at = (seconds: number) => `check if time($t), $t < ${dateOf(clock.now() + seconds * 1_000)}`;
  const [shorter, longer] = [await attenuated(at(60)), await attenuated(at(100_000))];

  await verify(shorter, verifier);
  clock.advance(61_000);
  await expect(verify(shorter, verifier)).rejects.toMatchObject({ reason: "TOKEN_EXPIRED" });
  await verify(longer, verifier);
  clock.advance(3_600_000);
  await expect(verify(longer, verifier)).rejects.toMatchObject({ reason: "TOKEN_EXPIRED" });
});

test.each([
  ["a fact", 'scope("admin")'],
  ["a rule", 'scope("admin") <- user($u)'],
  ["a check of an unknown kind", 'check all app($a), $a == "web"'],
  ["an expression that is not taken", 'check if app($a), $a.matches("w.*")'],
  ["a string with a line", 'check if app("a\\");\\ncheck if app(\\"web")'],
  // Printed without escapes it reads like a check for two apps.
  ["a string with quotes", 'check if app("a\\") or app(\\"web")'],
  ["a check that trusts another key", `check if app("web") trusting ed25519/${key.toString("hex")}`],
])("a token to which a holder has added %s is refused", async (_name, code) => {
  await expect(verify(await attenuated(code))).rejects.toMatchObject({ reason: "TOKEN_INVALID" });
});

test("a block taken off or altered is noticed", async () => {
  const token = await attenuated('check if app("web")');
  const bytes = Buffer.from(token, "base64url");
  const altered = Buffer.from(bytes.toString("latin1").replace("web", "wab"), "latin1");

  for (const forged of [altered, bytes.subarray(0, -80), bytes.subarray(10)]) {
    await expect(verify(forged.toString("base64url"))).rejects.toMatchObject({ reason: "TOKEN_INVALID" });
  }
});

test("a token is revoked with all that was made of it, or a part of that alone", async () => {
  const revocations = new Revocations();
  const verifier = new TokenVerifier(keys.publicKey, undefined, revocations);
  const parent = await mintToken(keys.privateKey, grant, 3_600);
  const child = await biscuits.attenuate(parent, key, 'check if app("web")');
  const { id } = await verify(parent, verifier);
  const { ids } = await verify(child, verifier);

  revocations.replace({ version: 1, tokens: ids.slice(1), orgs: [] });
  await expect(verify(child, verifier)).rejects.toMatchObject({ reason: "TOKEN_REVOKED" });
  await verify(parent, verifier);
  revocations.replace({ version: 2, tokens: [id], orgs: [] });
  await expect(verify(parent, verifier)).rejects.toMatchObject({ reason: "TOKEN_REVOKED" });
  await expect(verify(child, verifier)).rejects.toMatchObject({ reason: "TOKEN_REVOKED" });
  // An older list brings nothing back.
  expect(revocations.replace({ version: 1, tokens: [], orgs: [] })).toBe(false);
});

test("all tokens of an organisation issued before a moment are void", async () => {
  const revocations = new Revocations();
  const verifier = new TokenVerifier(keys.publicKey, undefined, revocations);
  const before = await mintToken(keys.privateKey, grant, 3_600);
  const notBeforeMs = Date.now() + 1;
  await expect.poll(() => Date.now()).toBeGreaterThan(notBeforeMs);
  const after = await mintToken(keys.privateKey, grant, 3_600);
  const others = await mintToken(keys.privateKey, { ...grant, org: "rival" }, 3_600);

  revocations.replace({ version: 1, tokens: [], orgs: [{ org: "acme", isSuspended: false, notBeforeMs }] });

  await expect(verify(before, verifier)).rejects.toMatchObject({ reason: "TOKEN_REVOKED" });
  await verify(after, verifier);
  await verify(others, verifier);
});

test("no text makes the parser of blocks take more than what it knows", () => {
  const statement = fc.stringMatching(/^[a-z$("), .;\n{}[\]<=0-9]{0,40}$/);
  fc.assert(
    fc.property(fc.array(statement, { maxLength: 4 }), (statements) => {
      const source = statements.map((each) => `check if ${each};`).join("\n");
      try {
        for (const { alternatives } of parseBlock(source).checks) {
          const terms = alternatives.flatMap(({ constants, bindings }) => [...constants, ...bindings]);
          expect(terms.length).toBeGreaterThan(0);
        }
      } catch (err) {
        expect(err).toMatchObject({ name: "BadBlock" });
      }
    }),
  );
});

test("a subject that would need escapes cannot be minted", async () => {
  await expect(mintToken(keys.privateKey, { ...grant, subject: 'a"b' }, 60)).rejects.toThrow(TypeError);
  expect([isPlain("a\nb"), isPlain("a b"), isPlain("a@b.c")]).toEqual([false, false, true]);
});

test("a text that is repeated without end costs no time: the block is refused by its length", async () => {
  const text = `"${"x".repeat(200)}"`;
  const list = Array.from({ length: 400 }, () => text).join(", ");

  const token = await attenuated(`check if app($a), [${list}].contains($a)`);

  expect(token.length).toBeLessThan(4_096);
  await expect(verify(token)).rejects.toThrow("at most 8192 characters");
});

test("a token with long checks is taken each time, and does not fill the memory of verified ones", async () => {
  const verifier = new TokenVerifier(keys.publicKey);
  const apps = (count: number) => Array.from({ length: count }, (_, i) => `app("a${i}")`).join(" or ");
  const [short, long] = [await attenuated(`check if ${apps(40)}`), await attenuated(`check if ${apps(100)}`)];

  const shorts = [await verify(short, verifier), await verify(short, verifier)];
  const longs = [await verify(long, verifier), await verify(long, verifier)];

  expect(shorts[0]).toBe(shorts[1]);
  expect(longs[0]).toEqual(longs[1]);
  expect(longs[0]).not.toBe(longs[1]);
});

test("a holder who attenuates without end pushes nobody else's token out of the memory of verified ones", async () => {
  const verifier = new TokenVerifier(keys.publicKey);
  const victim = await mintToken(keys.privateKey, { ...grant, org: "umbrella" }, 3_600);
  const before = await verify(victim, verifier);
  const issued = await mintToken(keys.privateKey, grant, 3_600);

  for (let i = 0; i < 2_200; i++)
    await verify(await biscuits.attenuate(issued, key, `check if app("a${i}")`), verifier);

  expect(await verify(victim, verifier)).toBe(before);
}, 30_000);

test("a check of many variables is refused, one of many alternatives is not", async () => {
  const many = Array.from({ length: 40 }, (_, i) => i);

  const variables = await attenuated(`check if ${many.map((i) => `app($a${i})`).join(", ")}`);
  const alternatives = await attenuated(`check if ${many.map((i) => `app("a${i}")`).join(" or ")}`);

  await expect(verify(variables)).rejects.toThrow("at most 16 variables");
  expect((await verify(alternatives)).checks[0]?.alternatives).toHaveLength(40);
});

describe("a block that its holder has written byte by byte", () => {
  const HIDDEN =
    'm\\");\\ncheck if time($t), $t < 2024-13-45T00:00:00Z;\\ncheck if action($a), $a.starts_with(\\"m';

  test("cannot hide checks in a text, behind another block of the same place or not", async () => {
    const hiding = await attenuated(`check if action($a), $a.starts_with("${HIDDEN}")`);
    const written = Buffer.from(hiding, "base64url");

    for (const token of [hiding, withBlocks(hiding, (block) => Buffer.concat([EMPTY_BLOCK, block]))]) {
      expect(Buffer.from(token, "base64url").length).toBeGreaterThanOrEqual(written.length);
      await expect(verify(token)).rejects.toMatchObject({ reason: "TOKEN_INVALID" });
    }
  });

  test("is taken when it says what the library would have written", async () => {
    const token = await attenuated('check if app("web")');

    const { checks } = await verify(withBlocks(token, (block) => block));

    expect(checks.map(({ source }) => source)).toEqual(['check if app("web")']);
  });

  test("does not make a token last for ever by a time that does not exist", () => {
    expect(() => parseBlock("check if time($t), $t < 2024-13-45T00:00:00Z;\n")).toThrow("does not exist");
  });
});

const BLOCKS = 3;
const BYTES = 2;
/** An empty `block` in a signed block, before the true one. */
const EMPTY_BLOCK = Buffer.of((1 << 3) | BYTES, 0);

/** Writes a token anew, with its holders' blocks as `change` makes them. */
function withBlocks(token: string, change: (block: Uint8Array) => Uint8Array): string {
  const [reader, writer] = [new BinaryReader(Buffer.from(token, "base64url")), new BinaryWriter()];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    writer.uint32((field << 3) | type);
    if (type !== BYTES) writer.uint64(reader.uint64());
    else if (field === BLOCKS) writer.bytes(change(reader.bytes()));
    else writer.bytes(reader.bytes());
  }
  return Buffer.from(writer.finish()).toString("base64url");
}
