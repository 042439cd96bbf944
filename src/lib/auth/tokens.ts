import * as grpc from "@grpc/grpc-js";
import { type Clock, systemClock } from "../runtime/clock.ts";
import { mintToken } from "./auth.ts";
import { fixedSigningKey, type SigningKeys } from "./keys.ts";

/** Returns the token for the next call. */
export type TokenSource = () => string | Promise<string>;

const TTL_SECONDS = 3_600;

/** Makes metadata with a token. */
export function tokenMetadata(token: string): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  return metadata;
}

/**
 * Makes the tokens with which a service calls others: scope `internal`, valid for an hour, renewed in the last quarter
 * and when another key signs.
 *
 * @param keys or a private key in PEM, with the id 1
 * @param service the token's subject
 */
export function internalTokens(
  keys: SigningKeys | string,
  service: string,
  clock: Clock = systemClock,
): TokenSource {
  const signers = typeof keys === "string" ? fixedSigningKey(keys) : keys;
  const grant = { subject: service, org: "", scopes: ["internal"] } as const;
  let current: string | undefined;
  let keyId = 0;
  let renewAt = 0;
  let minting: Promise<string> | undefined;
  const mint = async () => {
    try {
      const now = clock.now();
      const key = signers.signing();
      current = await mintToken(key, grant, TTL_SECONDS, clock);
      keyId = key.id;
      renewAt = now + TTL_SECONDS * 750;
      return current;
    } finally {
      minting = undefined;
    }
  };
  return () => {
    const isCurrent = clock.now() < renewAt && signers.signing().id === keyId;
    if (current !== undefined && isCurrent) return current;
    minting ??= mint();
    return minting;
  };
}

/** Adds a token to metadata that has none. Returns a promise only when the token has to be minted first. */
export function addToken(metadata: grpc.Metadata, source: TokenSource): Promise<void> | undefined {
  if (metadata.get("authorization").length > 0) return undefined;
  const add = (token: string) => metadata.set("authorization", `Bearer ${token}`);
  const token = source();
  if (typeof token !== "string") return token.then(add);
  add(token);
  return undefined;
}
