import { createPrivateKey, createPublicKey } from "node:crypto";
import { expect, test } from "vitest";
import { generateKeyPair, publicBytes, seedOf } from "../keys.ts";
import { Biscuits } from "./biscuits.ts";

const keys = generateKeyPair();
const seed = seedOf(createPrivateKey(keys.privateKey));
const key = publicBytes(createPublicKey(keys.publicKey));

test("the thread is replaced after a number of requests, and none of them is lost", async () => {
  const biscuits = new Biscuits(5);
  const tokens = await Promise.all(
    Array.from({ length: 23 }, (_, i) => biscuits.mint(seed, 1, `id("${i}")`)),
  );

  const opened = await Promise.all(tokens.map((token) => biscuits.open(token, key)));

  expect(opened.map(({ blocks }) => blocks[0]?.trim())).toEqual(tokens.map((_, i) => `id("${i}");`));
});

test("what cannot be opened fails by itself, and the thread goes on", async () => {
  const biscuits = new Biscuits();
  const good = await biscuits.mint(seed, 1, 'id("x")');

  const outcomes = await Promise.allSettled([
    biscuits.open("nonsense", key),
    biscuits.open("", key),
    biscuits.open(good, new Uint8Array(32)),
    biscuits.open(good, new Uint8Array(3)),
    biscuits.mint(seed, 1, "no datalog"),
    biscuits.attenuate("nonsense", key, 'check if app("web")'),
  ]);

  expect(outcomes.map(({ status }) => status)).toEqual(outcomes.map(() => "rejected"));
  expect((await biscuits.open(good, key)).blocks).toHaveLength(1);
});
