import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";

/** An Ed25519 key pair in PEM. The private key mints tokens, the public key verifies them. */
export interface KeyPair {
  readonly privateKey: string;
  readonly publicKey: string;
}

/** A private key and the id of its public key. */
export interface SigningKey {
  readonly id: number;
  readonly key: KeyObject;
}

/** Public keys by id, which may change at any time. */
export interface PublicKeys {
  get(id: number): KeyObject | undefined;
  /** Looks again for keys, e.g. for one that has been added a moment ago. */
  refresh(): Promise<void>;
}

/** The key that signs now. */
export interface SigningKeys {
  signing(): SigningKey;
}

/** Id of a key that is given alone. */
const ONLY_KEY = 1;

export function generateKeyPair(): KeyPair {
  const pair = generateKeyPairSync("ed25519");
  return {
    privateKey: pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    publicKey: pair.publicKey.export({ type: "spki", format: "pem" }).toString(),
  };
}

/** Takes public keys in PEM, with the ids 1, 2, ... */
export function fixedPublicKeys(pems: readonly string[]): PublicKeys {
  const keys = new Map(pems.map((pem, i) => [ONLY_KEY + i, createPublicKey(pem)]));
  return { get: (id) => keys.get(id), refresh: async () => {} };
}

/** Takes a private key in PEM as the key with id 1. */
export function fixedSigningKey(pem: string): SigningKeys {
  const key: SigningKey = { id: ONLY_KEY, key: createPrivateKey(pem) };
  return { signing: () => key };
}

/** Returns the 32 bytes of an Ed25519 public key. */
export function publicBytes(key: KeyObject): Buffer {
  return Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url");
}

/** Returns the 32 bytes that an Ed25519 private key is made from. */
export function seedOf(key: KeyObject): Buffer {
  return Buffer.from(key.export({ format: "jwk" }).d ?? "", "base64url");
}
