import { readFile } from "node:fs/promises";
import { Fault } from "../../faults/fault.ts";
import { type Credentials, isEmpty, passwordCredentials } from "./credentials.ts";
import { findFor, normaliseName } from "./repository-name.ts";

/** The credentials of an auth file, by normalised name of registry or repository. */
export type AuthEntries = readonly (readonly [name: string, credentials: Credentials])[];

/** Finds the credentials for a repository; undefined: anonymous. */
export type CredentialLookup = (registry: string, repository: string) => Promise<Credentials | undefined>;

/**
 * Finds credentials in an auth file as `docker login`, `podman login` and `skopeo login` write it: see {@link parseAuths}.
 * A key may have a path (`registry.example/team`); the longest match counts. The file is read each time.
 *
 * The look-up throws Fault FAILED_PRECONDITION / `REGISTRY_AUTH_FILE_INVALID` when the file is unusable.
 */
export function authFile(path: string): CredentialLookup {
  return async (registry, repository) => findFor(await readAuths(path), registry, repository);
}

/**
 * Parses `config.json` of Docker: `{"auths": {"registry.example": {"auth": "<base64 of user:password>"}}}`, or with
 * `username` and `password`, `identitytoken` or `registrytoken`. Entries without any, as credential helpers leave them,
 * are left out.
 *
 * @throws TypeError when it is something else; never with its text
 */
export function parseAuths(text: string): AuthEntries {
  const json = parseJson(text);
  // Entries are checked where they are used.
  const auths = (json as { auths?: unknown } | null)?.auths ?? {};
  if (typeof auths !== "object") throw new TypeError("`auths` is not an object");
  return Object.entries(auths as Record<string, Entry | null>).flatMap(([key, entry]) => {
    const credentials = fromEntry(entry ?? {});
    return isEmpty(credentials) ? [] : [[normaliseName(key), credentials] as const];
  });
}

interface Entry {
  readonly auth?: unknown;
  readonly username?: unknown;
  readonly password?: unknown;
  readonly identitytoken?: unknown;
  readonly registrytoken?: unknown;
}

async function readAuths(path: string): Promise<AuthEntries> {
  try {
    return parseAuths(await readFile(path, "utf8"));
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

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Its message has a piece of the text.
    throw new TypeError("it is not JSON");
  }
}

/** A token counts more than a password: Docker keeps both for registries with identity tokens. */
function fromEntry({ auth, username, password, identitytoken, registrytoken }: Entry): Credentials {
  const none = passwordCredentials("", "");
  if (typeof registrytoken === "string" && registrytoken !== "")
    return { ...none, registryToken: registrytoken };
  if (typeof identitytoken === "string" && identitytoken !== "")
    return { ...none, identityToken: identitytoken };
  if (typeof username === "string" && typeof password === "string" && username !== "")
    return passwordCredentials(username, password);
  const login = typeof auth === "string" ? Buffer.from(auth, "base64").toString("utf8") : "";
  const colon = login.indexOf(":");
  if (colon < 1) return none;
  return passwordCredentials(login.slice(0, colon), withoutPadding(login.slice(colon + 1)));
}

/** Takes the zero bytes off with which Docker pads. Not by a pattern, whose time would grow with their square. */
function withoutPadding(password: string): string {
  let end = password.length;
  while (password[end - 1] === "\0") end -= 1;
  return password.slice(0, end);
}
