import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "../faults/fault.ts";
import { type Clock, systemClock } from "../runtime/clock.ts";
import { startLoop } from "../runtime/lifecycle.ts";
import { logger } from "../runtime/log.ts";
import type { PublicKeys, SigningKey, SigningKeys } from "./keys.ts";

/** How often the folder is read for changes. */
const REREAD_MS = 1_000;
/** Between two readings because of a token with an unknown key. */
const REFRESH_MS = 200;
/** How long a private key waits before it signs, so that every service has its public key by then. */
export const ACTIVATION_MS = 5_000;
/** Largest id that a token can name. */
const MAX_ID = 2 ** 31 - 1;
const FILE = /^([1-9]\d{0,9})\.(public|private)\.pem$/;

/** A key of a folder. */
export interface KeyEntry {
  readonly id: number;
  readonly createTimeMs: number;
  readonly publicKey: KeyObject;
  /** Absent where only the public key is kept. */
  readonly privateKey: KeyObject | undefined;
}

/**
 * A folder of Ed25519 keys: `ID.public.pem` verifies, and `ID.private.pem` of the largest id signs,
 * from five seconds after it was written. Changes take effect within two seconds.
 */
export class KeyDirectory implements PublicKeys, SigningKeys {
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #isSigner: boolean;
  #entries = new Map<number, KeyEntry>();
  /** Those with a private key, newest first. */
  #signers: readonly KeyEntry[] = [];
  /** Names, times and sizes of the files that were read. */
  #seen = "";
  /** Why they could not be read the last time. */
  #problem = "";
  #refreshedAt = Number.NEGATIVE_INFINITY;
  readonly #stop: () => Promise<void>;

  /**
   * @param isSigner whether private keys are read
   * @throws Fault FAILED_PRECONDITION / `KEYS_MISSING` when there is no public key
   */
  constructor(folder: string, isSigner: boolean, clock: Clock = systemClock) {
    this.#folder = folder;
    this.#isSigner = isSigner;
    this.#clock = clock;
    this.#read();
    if (this.#entries.size === 0) throw noKeys(folder);
    this.#stop = startLoop(REREAD_MS, 0, () => this.#read(), { name: "read keys" });
  }

  get(id: number): KeyObject | undefined {
    return this.#entries.get(id)?.publicKey;
  }

  publicKeys(): readonly KeyEntry[] {
    return [...this.#entries.values()];
  }

  async refresh(): Promise<void> {
    if (this.#clock.monotonicMs() - this.#refreshedAt < REFRESH_MS) return;
    this.#refreshedAt = this.#clock.monotonicMs();
    this.#read();
  }

  /** @throws Fault FAILED_PRECONDITION / `SIGNING_KEY_MISSING` */
  signing(): SigningKey {
    const now = this.#clock.now();
    const active = this.#signers.find(({ createTimeMs }) => createTimeMs + ACTIVATION_MS <= now);
    // The very first key signs at once.
    const { id, privateKey } = active ?? this.#signers.at(-1) ?? {};
    if (id === undefined || privateKey === undefined) throw noSigningKey(this.#folder);
    return { id, key: privateKey };
  }

  close(): Promise<void> {
    return this.#stop();
  }

  #read(): void {
    try {
      const seen = fingerprint(this.#folder);
      if (seen === this.#seen) return;
      const entries = readKeys(this.#folder, this.#isSigner).map((entry) => this.#sameObject(entry));
      this.#entries = new Map(entries.map((entry) => [entry.id, entry]));
      this.#signers = entries.filter(({ privateKey }) => privateKey !== undefined).reverse();
      this.#seen = seen;
      this.#problem = "";
    } catch (error) {
      // At start-up there is nothing to go on with.
      if (this.#entries.size === 0) throw error;
      this.#dropRemoved();
      // Once, and not every second until somebody mends it.
      const problem = String(error);
      if (problem !== this.#problem)
        logger.error("the keys cannot be read; those known before are used", { folder: this.#folder, error });
      this.#problem = problem;
    }
  }

  /** A key that has not changed stays the same object, by which verified tokens remember it. */
  #sameObject(entry: KeyEntry): KeyEntry {
    const before = this.#entries.get(entry.id)?.publicKey;
    return before?.equals(entry.publicKey) ? { ...entry, publicKey: before } : entry;
  }

  /** A file that is broken must not keep the key of another one that was removed. */
  #dropRemoved(): void {
    try {
      const names = new Set(keyFiles(this.#folder));
      const isThere = ({ id }: KeyEntry) => names.has(publicFile(id));
      this.#entries = new Map([...this.#entries].filter(([, entry]) => isThere(entry)));
      this.#signers = this.#signers.filter(isThere);
    } catch {
      // The folder itself cannot be read.
    }
  }
}

/**
 * Reads the keys of a folder, by ascending id.
 *
 * @throws Fault FAILED_PRECONDITION / `KEY_INVALID`
 */
export function readKeys(folder: string, withPrivate: boolean): readonly KeyEntry[] {
  const names = new Set(keyFiles(folder));
  const ids = [...names].map((name) => Number.parseInt(name, 10));
  return [...new Set(ids)]
    .sort((a, b) => a - b)
    .flatMap((id) => {
      const publicPath = join(folder, publicFile(id));
      const privatePath = join(folder, privateFile(id));
      // A private key without its public key cannot be verified by anybody.
      if (!names.has(publicFile(id))) return [];
      const publicKey = readKey(publicPath, createPublicKey);
      const hasPrivate = withPrivate && names.has(privateFile(id));
      const privateKey = hasPrivate ? readKey(privatePath, createPrivateKey) : undefined;
      if (privateKey && !createPublicKey(privateKey).equals(publicKey)) throw noPair(privatePath, publicPath);
      return [
        { id, publicKey, privateKey, createTimeMs: statSync(hasPrivate ? privatePath : publicPath).mtimeMs },
      ];
    });
}

export function publicFile(id: number): string {
  return `${id}.public.pem`;
}

export function privateFile(id: number): string {
  return `${id}.private.pem`;
}

function keyFiles(folder: string): string[] {
  return readdirSync(folder).filter((name) => Number(FILE.exec(name)?.[1] ?? Number.NaN) <= MAX_ID);
}

function fingerprint(folder: string): string {
  return keyFiles(folder)
    .map((name) => {
      const { mtimeMs, ctimeMs, size, ino } = statSync(join(folder, name));
      return `${name} ${mtimeMs} ${ctimeMs} ${size} ${ino}`;
    })
    .join("\n");
}

function readKey(path: string, parse: (pem: string) => KeyObject): KeyObject {
  try {
    const key = parse(readFileSync(path, "utf8"));
    if (key.asymmetricKeyType === "ed25519") return key;
  } catch (cause) {
    throw badKey(path, cause);
  }
  throw badKey(path, undefined);
}

function badKey(path: string, cause: unknown): Fault {
  const message = `${path} must hold an Ed25519 key in PEM`;
  return new Fault("FAILED_PRECONDITION", "KEY_INVALID", message, { path }, { cause });
}

function noPair(path: string, publicPath: string): Fault {
  const message = `${path} must be the private key of ${publicPath}, or nobody could verify what it signs`;
  return new Fault("FAILED_PRECONDITION", "KEY_INVALID", message, { path });
}

function noKeys(folder: string): Fault {
  const message = `${folder} holds no public key; make one with \`hover key rotate --dir ${folder}\``;
  return new Fault("FAILED_PRECONDITION", "KEYS_MISSING", message, { folder });
}

function noSigningKey(folder: string): Fault {
  const message = `${folder} holds no private key, so no token can be signed`;
  return new Fault("FAILED_PRECONDITION", "SIGNING_KEY_MISSING", message, { folder });
}
