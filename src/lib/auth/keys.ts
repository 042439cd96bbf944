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

/** The key that signs now, and all that verify. */
export interface SigningKeys {
  signing(): SigningKey;
  publicKeys(): readonly { readonly id: number; readonly publicKey: KeyObject }[];
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
  return publicKeysById(new Map(pems.map((pem, i) => [ONLY_KEY + i, createPublicKey(pem)])));
}

/** Takes public keys that stay as they are. */
export function publicKeysById(keys: ReadonlyMap<number, KeyObject>): PublicKeys {
  return { get: (id) => keys.get(id), refresh: async () => {} };
}

/** Takes a private key in PEM as the key with id 1. */
export function fixedSigningKey(pem: string): SigningKeys {
  const key: SigningKey = { id: ONLY_KEY, key: createPrivateKey(pem) };
  const publicKey = createPublicKey(key.key);
  return { signing: () => key, publicKeys: () => [{ id: ONLY_KEY, publicKey }] };
}

/** Returns the 32 bytes of an Ed25519 public key. */
export function publicBytes(key: KeyObject): Buffer {
  return Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url");
}

/** Returns the 32 bytes that an Ed25519 private key is made from. */
export function seedOf(key: KeyObject): Buffer {
  return Buffer.from(key.export({ format: "jwk" }).d ?? "", "base64url");
}

/** Makes a public key of its 32 bytes. */
export function publicKeyOf(bytes: Uint8Array): KeyObject {
  const x = Buffer.from(bytes).toString("base64url");
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
}
