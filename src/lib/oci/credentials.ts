import { readFile } from "node:fs/promises";
import { Fault } from "../runtime/fault.ts";

/** A user name and password, or a token in the password's place. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** Finds the credentials for a repository; undefined means anonymous. */
export type CredentialLookup = (registry: string, repository: string) => Promise<Credentials | undefined>;

/** Nobody has credentials. */
export const anonymous: CredentialLookup = async () => undefined;

/**
 * Looks credentials up in an auth file as `docker login`, `podman login` and `skopeo login` write it:
 * `{"auths": {"registry.example": {"auth": "<base64 of user:password>"}}}`. A key may go on into the path
 * (`registry.example/team`); the longest that fits counts. Read anew each time, so a new login takes effect at once.
 * Credential helpers and identity tokens are not supported.
 *
 * @throws Fault FAILED_PRECONDITION / `REGISTRY_AUTH_FILE_INVALID` from the look-up when the file cannot be used
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
    // Any object can be asked for `auths`; entries are checked one by one.
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

/** `host/a/b`, `host/a`, `host`. */
function candidates(registry: string, repository: string): string[] {
  const parts = [registry, ...repository.split("/")];
  return parts.map((_, index) => parts.slice(0, parts.length - index).join("/"));
}

/** Docker writes `https://index.docker.io/v1/` for its own registry, and older versions wrote URLs for all. */
function normalise(key: string): string {
  const bare = key.replace(/^https?:\/\//, "").replace(/\/(?:v[12]\/?)?$/, "");
  return bare === "index.docker.io" || bare === "registry-1.docker.io" ? "docker.io" : bare;
}

function toCredentials(entry: Entry): Credentials | undefined {
  if (typeof entry.username === "string" && typeof entry.password === "string") {
    return { username: entry.username, password: entry.password };
  }
  if (typeof entry.auth !== "string" || entry.auth === "") return undefined;
  const text = Buffer.from(entry.auth, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0 ? undefined : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}
