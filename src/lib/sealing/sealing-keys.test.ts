import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openSealingKeys } from "./sealing-keys.ts";

let folder: string;
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "sealing-")), "keys");
});
afterEach(() => rmSync(join(folder, ".."), { recursive: true }));

const secret = Buffer.from("hunter2");

test("a sealed value is read again after a restart, and shows nothing of itself", async () => {
  const sealed = (await openSealingKeys(folder)).seal(secret, "org/acme");

  expect(sealed.includes(secret)).toBe(false);
  expect((await openSealingKeys(folder)).unseal(sealed, "org/acme")).toEqual(secret);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(readdirSync(folder).map((name) => statSync(join(folder, name)).mode & 0o777)).toEqual([0o600]);
});

test("two values sealed alike differ", async () => {
  const keys = await openSealingKeys(folder);

  expect(keys.seal(secret, "a").equals(keys.seal(secret, "a"))).toBe(false);
});

test("a newer key seals, and values of the older one are still read", async () => {
  const older = (await openSealingKeys(folder)).seal(secret, "a");
  writeFileSync(join(folder, "10.key"), Buffer.alloc(32, 7).toString("base64"));

  const keys = await openSealingKeys(folder);
  const newer = keys.seal(secret, "a");

  expect([keys.unseal(older, "a"), keys.unseal(newer, "a")]).toEqual([secret, secret]);
  expect(newer.subarray(1, 9).equals(older.subarray(1, 9))).toBe(false);
  expect([keys.isNewest(older), keys.isNewest(newer)]).toEqual([false, true]);
});

test("what was altered, cut, moved to another owner or sealed elsewhere is refused", async () => {
  const keys = await openSealingKeys(folder);
  const sealed = keys.seal(secret, "org/acme");
  const altered = Buffer.from(sealed);
  altered[altered.length - 1] = (altered.at(-1) ?? 0) ^ 1;
  const elsewhere = (await openSealingKeys(`${folder}2`)).seal(secret, "org/acme");

  for (const bad of [altered, sealed.subarray(0, 20), Buffer.alloc(0), elsewhere])
    expect(() => keys.unseal(bad, "org/acme")).toThrow(/cannot be decrypted/);
  expect(() => keys.unseal(sealed, "org/other")).toThrow(/cannot be decrypted/);
});

test("a key file of another length is named", async () => {
  await openSealingKeys(folder);
  writeFileSync(join(folder, "2.key"), "short");

  await expect(openSealingKeys(folder)).rejects.toMatchObject({ reason: "SEALING_KEY_INVALID" });
});

test("a folder of other files is refused, and stays open to whom it was", async () => {
  mkdirSync(folder, { mode: 0o755 });
  writeFileSync(join(folder, "passwd"), "");

  await expect(openSealingKeys(folder)).rejects.toMatchObject({ reason: "SEALING_KEY_INVALID" });
  expect(statSync(folder).mode & 0o777).toBe(0o755);
  expect(readdirSync(folder)).toEqual(["passwd"]);
});

test("the first key is made where a crash has left a part of it, and on a volume that is new", async () => {
  mkdirSync(join(folder, "lost+found"), { recursive: true });
  writeFileSync(join(folder, "1.key.new"), "");

  await openSealingKeys(folder);

  expect(readdirSync(folder)).toEqual(["1.key", "lost+found"]);
});
