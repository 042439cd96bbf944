import { authFile } from "./auth-file.ts";
import type { Credentials } from "./credentials.ts";
import { isWithin, normaliseName } from "./repository-name.ts";

/** Which organisation may use the fleet's credentials for which repositories. */
export interface AuthGrant {
  /** `*`: all organisations. */
  readonly org: string;
  /** Registry, perhaps with a path. `*`: all repositories. */
  readonly repository: string;
}

/** Parses `org=registry/path`, either side `*`. @throws Error that completes "NAME ..." */
export function parseGrant(raw: string): AuthGrant {
  const [org = "", repository = "", ...rest] = raw.split("=");
  if (org === "" || repository === "" || rest.length > 0)
    throw new Error(`must be like acme=registry.example/team, *=docker.io or acme=*, not "${raw}"`);
  return { org, repository: repository === "*" ? "*" : normaliseName(repository) };
}

/** Finds the fleet's credentials for a repository, for organisations that an operator allows them to. */
export function fleetCredentials(path: string | undefined, grants: readonly AuthGrant[]) {
  const find = path === undefined ? undefined : authFile(path);
  return async (org: string, registry: string, repository: string): Promise<Credentials | undefined> => {
    const isGranted = grants.some(
      (grant) =>
        (grant.org === "*" || grant.org === org) &&
        (grant.repository === "*" || isWithin(grant.repository, registry, repository)),
    );
    return isGranted ? find?.(registry, repository) : undefined;
  };
}
