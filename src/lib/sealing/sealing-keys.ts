import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from "node:crypto";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "../faults/fault.ts";
import { writeDurably } from "../stores/durable-file.ts";
import { makePrivateFolder } from "../stores/private-folder.ts";

const VERSION = 1;
const KEY_BYTES = 32;
const ID_BYTES = 8;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + ID_BYTES + NONCE_BYTES + TAG_BYTES;
const SUFFIX = ".key";

/**
 * Encrypts what is stored with AES-256-GCM. Layout: version (1 byte), key id (8), nonce (12), tag (16), ciphertext.
 *
 * Several keys may exist while one replaces another: the last by file name seals, all unseal.
 */
export class SealingKeys {
  // Not bytes: Node takes longer to find out what those are than to encrypt.
  readonly #keys = new Map<string, KeyObject>();
  readonly #newest: { readonly id: Buffer; readonly key: KeyObject };

  /** @param keys of 32 bytes, the newest last */
  constructor(keys: readonly Buffer[]) {
    const all = keys.map((key) => ({ id: idOf(key), key: createSecretKey(key) }));
    for (const { id, key } of all) this.#keys.set(id.toString("hex"), key);
    const newest = all.at(-1);
    if (newest === undefined) throw new Error("at least one sealing key is needed");
    this.#newest = newest;
  }

  /** Encrypts a value. @param context names what it belongs to; the same is needed to unseal it */
  seal(value: Uint8Array, context: string): Buffer {
    const { id, key } = this.#newest;
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(context));
    const sealed = Buffer.concat([cipher.update(value), cipher.final()]);
    return Buffer.concat([Buffer.of(VERSION), id, nonce, cipher.getAuthTag(), sealed]);
  }

  /** Whether a value is sealed with the newest key. Others have to be sealed again before their key may go. */
  isNewest(sealed: Uint8Array): boolean {
    return this.#newest.id.equals(sealed.subarray(1, 1 + ID_BYTES));
  }

  /** Decrypts a value. @throws Fault DATA_LOSS / `SEALED_VALUE_UNREADABLE` */
  unseal(sealed: Uint8Array, context: string): Buffer {
    const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
    const id = bytes.subarray(1, 1 + ID_BYTES).toString("hex");
    const key = bytes[0] === VERSION && bytes.length >= HEADER_BYTES ? this.#keys.get(id) : undefined;
    if (key === undefined) throw unreadable("its key is not among the sealing keys", { key: id });
    const nonce = bytes.subarray(1 + ID_BYTES, 1 + ID_BYTES + NONCE_BYTES);
    const tag = bytes.subarray(HEADER_BYTES - TAG_BYTES, HEADER_BYTES);
    const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(context)).setAuthTag(tag);
    try {
      return Buffer.concat([decipher.update(bytes.subarray(HEADER_BYTES)), decipher.final()]);
    } catch {
      throw unreadable("it has been altered or belongs to something else", { key: id });
    }
  }
}

/**
 * Reads all `*.key` files of a folder, each 32 bytes in base64. Makes folder (0700) and first key (0600) when there is none.
 *
 * @throws Fault FAILED_PRECONDITION / `SEALING_KEY_INVALID`
 */
export async function openSealingKeys(folder: string): Promise<SealingKeys> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const files = keyFiles(folder);
  if (files.length === 0 && holdsOtherFiles(folder)) throw foreign(folder);
  makePrivateFolder(folder);
  if (files.length === 0) {
    const first = `1${SUFFIX}`;
    await writeDurably(join(folder, first), `${randomBytes(KEY_BYTES).toString("base64")}\n`);
    files.push(first);
  }
  return new SealingKeys(files.map((name) => readKey(join(folder, name))));
}

function keyFiles(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(SUFFIX))
    .sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
}

/** Not counted are folders such as lost+found, hidden files, and a first key that a crash left unfinished. */
function holdsOtherFiles(folder: string): boolean {
  const isOther = (name: string) => !name.startsWith(".") && !name.includes(SUFFIX);
  return readdirSync(folder, { withFileTypes: true }).some((entry) => entry.isFile() && isOther(entry.name));
}

function readKey(path: string): Buffer {
  const key = Buffer.from(readFileSync(path, "utf8").trim(), "base64");
  if (key.length === KEY_BYTES) return key;
  throw new Fault(
    "FAILED_PRECONDITION",
    "SEALING_KEY_INVALID",
    `${path} must hold ${KEY_BYTES} bytes in base64`,
    { path },
  );
}

/** Closing it would lock others out, e.g. of /etc. */
function foreign(folder: string): Fault {
  const message = `${folder} holds other files and no sealing key; name a folder that is empty or not there`;
  return new Fault("FAILED_PRECONDITION", "SEALING_KEY_INVALID", message, { path: folder });
}

function idOf(key: Buffer): Buffer {
  return createHash("sha256").update("windhover sealing key").update(key).digest().subarray(0, ID_BYTES);
}

function unreadable(why: string, facts: Readonly<Record<string, string>>): Fault {
  return new Fault(
    "DATA_LOSS",
    "SEALED_VALUE_UNREADABLE",
    `a stored value cannot be decrypted: ${why}`,
    facts,
  );
}
