import { readFile } from "node:fs/promises";
import { Fault } from "../faults/fault.ts";

/** A user name and password, or a token. The other fields are empty. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
  /** OAuth2 refresh token, exchanged for an access token. */
  readonly identityToken: string;
  /** Bearer token, sent as it is. */
  readonly registryToken: string;
}

export function passwordCredentials(username: string, password: string): Credentials {
  return { username, password, identityToken: "", registryToken: "" };
}

/** Finds the credentials for a repository; undefined: anonymous. */
export type CredentialLookup = (registry: string, repository: string) => Promise<Credentials | undefined>;

export const anonymous: CredentialLookup = async () => undefined;

/**
 * Finds credentials in an auth file as `docker login`, `podman login` and `skopeo login` write it:
 * `{"auths": {"registry.example": {"auth": "<base64 of user:password>"}}}`. A key may have a path
 * (`registry.example/team`); the longest match counts. The file is read each time. Credential helpers
 * and identity tokens are not supported.
 *
 * The look-up throws Fault FAILED_PRECONDITION / `REGISTRY_AUTH_FILE_INVALID` when the file is unusable.
 */
export function authFile(path: string): CredentialLookup {
  return async (registry, repository) => {
    const auths = await readAuths(path);
    const names = candidates(registry, repository);
    for (const name of names) {
      const entry = auths.find(([key]) => normalise(key) === name)?.[1];
      const credentials = entry && toCredentials(entry);
      if (credentials) return credentials;
    }
    return undefined;
  };
}

interface Entry {
  readonly auth?: unknown;
  readonly username?: unknown;
  readonly password?: unknown;
}

async function readAuths(path: string): Promise<[string, Entry][]> {
  try {
    const json: unknown = JSON.parse(await readFile(path, "utf8"));
    // Entries are checked where they are used.
    const auths = (json as { auths?: unknown } | null)?.auths ?? {};
    if (typeof auths !== "object") throw new TypeError("`auths` is not an object");
    return Object.entries(auths as Record<string, Entry | null>).map(([key, entry]) => [key, entry ?? {}]);
  } catch (err) {
    throw new Fault(
      "FAILED_PRECONDITION",
      "REGISTRY_AUTH_FILE_INVALID",
      `the registry auth file ${path} cannot be used; REGISTRY_AUTH_FILE must name a file as docker login writes it`,
      { path },
      { cause: err },
    );
  }
}

/** Returns `host/a/b`, `host/a`, `host`. */
function candidates(registry: string, repository: string): string[] {
  const parts = [registry, ...repository.split("/")];
  return parts.map((_, index) => parts.slice(0, parts.length - index).join("/"));
}

/** Normalises a key: Docker writes `https://index.docker.io/v1/` for Docker Hub, and wrote URLs for all. */
function normalise(key: string): string {
  const bare = key.replace(/^https?:\/\//, "").replace(/\/(?:v[12]\/?)?$/, "");
  return bare === "index.docker.io" || bare === "registry-1.docker.io" ? "docker.io" : bare;
}

function toCredentials(entry: Entry): Credentials | undefined {
  if (typeof entry.username === "string" && typeof entry.password === "string") {
    return passwordCredentials(entry.username, entry.password);
  }
  if (typeof entry.auth !== "string" || entry.auth === "") return undefined;
  const text = Buffer.from(entry.auth, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0 ? undefined : passwordCredentials(text.slice(0, colon), text.slice(colon + 1));
}
