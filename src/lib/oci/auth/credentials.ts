import { createHash } from "node:crypto";

/** A user name and password, or a token. The other fields are empty. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
  /** OAuth2 refresh token, exchanged for an access token. */
  readonly identityToken: string;
  /** Bearer token, sent as it is. */
  readonly registryToken: string;
}

/** For whom a registry is asked, and with what. */
export interface Access {
  /** What a registry says to one organisation, such as to come back later, does not count for another. */
  readonly org: string;
  /** Undefined: none. */
  readonly credentials: Credentials | undefined;
}

export function passwordCredentials(username: string, password: string): Credentials {
  return { username, password, identityToken: "", registryToken: "" };
}

export function isEmpty(credentials: Credentials): boolean {
  return Object.values(credentials).every((value) => value === "");
}

const fingerprints = new WeakMap<Credentials, string>();

/** Returns a text that is the same for the same organisation and credentials only, and tells neither. */
export function accessKey({ org, credentials }: Access): string {
  if (credentials === undefined) return `${org} -`;
  const known = fingerprints.get(credentials);
  const { username, password, identityToken, registryToken } = credentials;
  const all = JSON.stringify([username, password, identityToken, registryToken]);
  const fingerprint = known ?? createHash("sha256").update(all).digest("base64url");
  fingerprints.set(credentials, fingerprint);
  return `${org} ${fingerprint}`;
}
