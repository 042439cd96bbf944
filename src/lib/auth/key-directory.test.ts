import { copyFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ManualClock } from "../../../test/support/manual-clock.ts";
import { type TemporaryFolder, temporaryFolder } from "../../../test/support/temporary.ts";
import { createLogger } from "../runtime/log.ts";
import { mintToken, TokenVerifier } from "./auth.ts";
import { ACTIVATION_MS, KeyDirectory } from "./key-directory.ts";
import { removeKey, rotateKeys } from "./rotate-keys.ts";
import { internalTokens } from "./tokens.ts";

createLogger("test", { write: () => {} });

const grant = { subject: "me", org: "acme", scopes: ["machines:read"] } as const;
let folder: TemporaryFolder;
let open: KeyDirectory[];

beforeEach(() => {
  folder = temporaryFolder("keys");
  open = [];
});
afterEach(async () => {
  for (const keys of open) await keys.close();
  folder.remove();
});

function openKeys(isSigner = true, clock = new ManualClock(Date.now())): KeyDirectory {
  const keys = new KeyDirectory(folder.path, isSigner, clock);
  open.push(keys);
  return keys;
}

/** Sets the clock to when a key begins to sign. */
function activate(id: number, clock: ManualClock): void {
  const { mtimeMs } = statSync(join(folder.path, `${id}.private.pem`));
  clock.advance(Math.ceil(mtimeMs) + ACTIVATION_MS - clock.now());
}

test("keys and their folder are readable by their owner only, and the first key signs at once", async () => {
  const id = await rotateKeys(join(folder.path, "keys"));

  const modes = ["keys", "keys/1.public.pem", "keys/1.private.pem"].map(
    (name) => statSync(join(folder.path, name)).mode & 0o777,
  );

  expect([id, ...modes]).toEqual([1, 0o700, 0o600, 0o600]);
  const keys = new KeyDirectory(join(folder.path, "keys"), true);
  open.push(keys);
  expect(keys.signing().id).toBe(1);
});

test("a new key verifies at once and signs five seconds later, without a restart", async () => {
  await rotateKeys(folder.path);
  const clock = new ManualClock(Date.now());
  const keys = openKeys(true, clock);
  const before = keys.signing().id;

  await rotateKeys(folder.path);
  await expect.poll(() => keys.get(2)).toBeDefined();
  const waiting = keys.signing().id;
  activate(2, clock);

  expect([before, waiting, keys.signing().id]).toEqual([1, 1, 2]);
});

test("a token of a key that was added a moment ago is taken, since the folder is read again for it", async () => {
  await rotateKeys(folder.path);
  const verifier = new TokenVerifier(openKeys(false));
  await rotateKeys(folder.path);
  const signing = openKeys();
  const past = new Date(Date.now() - 60_000);
  utimesSync(join(folder.path, "2.private.pem"), past, past);
  await expect.poll(() => signing.signing().id).toBe(2);

  const token = await mintToken(signing.signing(), grant, 60);

  expect(await verifier.verify(`Bearer ${token}`)).toMatchObject(grant);
});

test("a removed key voids its tokens, also those verified before; the newest cannot be removed", async () => {
  await rotateKeys(folder.path);
  const keys = openKeys(true);
  const verifier = new TokenVerifier(keys);
  const header = `Bearer ${await mintToken(keys.signing(), grant, 60)}`;
  await verifier.verify(header);

  expect(() => removeKey(folder.path, 1)).toThrow(expect.objectContaining({ reason: "KEY_IN_USE" }));
  await rotateKeys(folder.path);
  expect(() => removeKey(folder.path, 1)).toThrow(expect.objectContaining({ reason: "KEY_IN_USE" }));
  const past = new Date(Date.now() - 60_000);
  utimesSync(join(folder.path, "2.private.pem"), past, past);
  removeKey(folder.path, 1);

  await expect.poll(() => keys.get(1)).toBeUndefined();
  await expect(verifier.verify(header)).rejects.toMatchObject({ reason: "TOKEN_INVALID" });
  expect(() => removeKey(folder.path, 1)).toThrow(expect.objectContaining({ reason: "KEY_UNKNOWN" }));
});

test("a service signs with the new key before its token ends, so that the old key can be removed", async () => {
  await rotateKeys(folder.path);
  const clock = new ManualClock(Date.now());
  const keys = openKeys(true, clock);
  const source = internalTokens(keys, "api", clock);
  const first = await source();

  await rotateKeys(folder.path);
  await expect.poll(() => keys.get(2)).toBeDefined();
  activate(2, clock);
  const second = await source();

  expect(second).not.toBe(first);
  const header = JSON.parse(Buffer.from(second.split(".")[0] ?? "", "base64url").toString());
  expect(header).toMatchObject({ kid: "2" });
});

test("a folder that cannot be read later on changes nothing", async () => {
  await rotateKeys(folder.path);
  const keys = openKeys();
  writeFileSync(join(folder.path, "2.public.pem"), "no key");

  await keys.refresh();
  const broken = keys.get(1);
  renameSync(join(folder.path, "1.public.pem"), join(folder.path, "away"));
  rmSync(join(folder.path, "2.public.pem"));
  await rotateKeys(folder.path);

  expect(broken).toBeDefined();
  expect(() => openKeys(false)).not.toThrow();
});

test("a file that is broken does not keep the key of another one that is removed", async () => {
  await rotateKeys(folder.path);
  await rotateKeys(folder.path);
  const keys = openKeys();
  writeFileSync(join(folder.path, "3.public.pem"), "no key");

  rmSync(join(folder.path, "1.private.pem"));
  rmSync(join(folder.path, "1.public.pem"));

  await expect.poll(() => keys.get(1)).toBeUndefined();
  expect(keys.get(2)).toBeDefined();
  expect(keys.signing().id).toBe(2);
});

test("a key that gets the id of a removed one does not take that one's tokens, nor those verified before", async () => {
  await rotateKeys(folder.path);
  const keys = openKeys();
  const verifier = new TokenVerifier(keys);
  const header = `Bearer ${await mintToken(keys.signing(), grant, 60)}`;
  const claims = await verifier.verify(header);
  const before = keys.get(1);

  for (const name of ["1.private.pem", "1.public.pem"]) rmSync(join(folder.path, name));
  await rotateKeys(folder.path);

  await expect.poll(() => keys.get(1) === before).toBe(false);
  await expect(verifier.verify(header)).rejects.toMatchObject({ reason: "TOKEN_INVALID" });
  expect(verifier.lapse(claims)).toMatchObject({ reason: "TOKEN_INVALID" });
});

test("adding a key has no token verified again", async () => {
  await rotateKeys(folder.path);
  const keys = openKeys();
  const verifier = new TokenVerifier(keys);
  const header = `Bearer ${await mintToken(keys.signing(), grant, 60)}`;
  const claims = await verifier.verify(header);

  await rotateKeys(folder.path);
  await expect.poll(() => keys.get(2)).toBeDefined();

  expect(await verifier.verify(header)).toBe(claims);
});

test("a private key that is not its public key's is refused, and never signs", async () => {
  await rotateKeys(folder.path);
  const keys = openKeys();
  await rotateKeys(folder.path);
  copyFileSync(join(folder.path, "1.private.pem"), join(folder.path, "2.private.pem"));
  const past = new Date(Date.now() - 60_000);
  utimesSync(join(folder.path, "2.private.pem"), past, past);

  await keys.refresh();

  expect(keys.signing().id).toBe(1);
  expect(() => openKeys()).toThrow(expect.objectContaining({ reason: "KEY_INVALID" }));
  expect(openKeys(false).get(2)).toBeDefined();
});

test("a service does not start without a key, or with a broken one", async () => {
  expect(() => openKeys()).toThrow(expect.objectContaining({ reason: "KEYS_MISSING" }));
  writeFileSync(join(folder.path, "1.public.pem"), "no key");
  expect(() => openKeys()).toThrow(expect.objectContaining({ reason: "KEY_INVALID" }));
});

test("a service that only verifies does not read private keys", async () => {
  await rotateKeys(folder.path);
  expect(() => openKeys(false).signing()).toThrow(expect.objectContaining({ reason: "SIGNING_KEY_MISSING" }));
});
