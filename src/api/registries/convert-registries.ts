import {
  RegistryCredentialsKind,
  type RegistryLogin,
  type SetRegistryCredentialsRequest,
} from "../../gen/windhover/machines/v1/registries.ts";
import { Violations } from "../../lib/faults/violations.ts";
import { type Credentials, passwordCredentials } from "../../lib/oci/auth/credentials.ts";
import { normaliseName } from "../../lib/oci/auth/repository-name.ts";
import { parseReference } from "../../lib/oci/reference.ts";
import { timeToProto } from "../requests/convert-time.ts";
import type { LoginKind } from "./login-store.ts";
import type { Login, NewLogin } from "./logins.ts";

const MAX_USERNAME = 255;
const MAX_SECRET = 16 * 1024;
const KINDS: Readonly<Record<LoginKind, RegistryCredentialsKind>> = {
  password: RegistryCredentialsKind.PASSWORD,
  identity_token: RegistryCredentialsKind.IDENTITY_TOKEN,
  registry_token: RegistryCredentialsKind.REGISTRY_TOKEN,
};

/** @throws Fault `INVALID_FIELDS` */
export function registryFromProto(name: string): string {
  const violations = new Violations();
  const registry = checkRegistry(name, violations);
  violations.throwIfAny();
  return registry;
}

/** @throws Fault `INVALID_FIELDS`; its text never has a secret */
export function loginFromProto({ registry, credentials }: SetRegistryCredentialsRequest): NewLogin {
  const violations = new Violations();
  const name = checkRegistry(registry, violations);
  const given = checkCredentials(credentials ?? passwordCredentials("", ""), violations);
  violations.throwIfAny();
  return { registry: name, credentials: given };
}

export function loginToProto({ registry, username, kind, updateTimeMs }: Login): RegistryLogin {
  return { registry, username, kind: KINDS[kind], updateTime: timeToProto(updateTimeMs) };
}

function checkRegistry(given: string, violations: Violations): string {
  const name = normaliseName(given);
  violations.check(given !== "", "registry", "is required: a registry such as ghcr.io");
  const usable = "must be a registry such as ghcr.io or 127.0.0.1:5000, perhaps with a path";
  if (given !== "") violations.add("registry", isRegistry(name) ? undefined : usable);
  return name;
}

/** Whether a reference may begin with it. */
function isRegistry(name: string): boolean {
  const [host = "", ...path] = name.split("/");
  const isHost = /[.:]/.test(host) || host === "localhost";
  try {
    return isHost && parseReference([host, ...path, "x"].join("/")).registry === host;
  } catch {
    return false;
  }
}

function checkCredentials(given: Credentials, violations: Violations): Credentials {
  const { username, password, identityToken, registryToken } = given;
  const forms = [username !== "" || password !== "", identityToken !== "", registryToken !== ""];
  if (forms.filter(Boolean).length !== 1)
    violations.add(
      "credentials",
      "must have a username and a password, or an identity token, or a registry token",
    );
  if (forms[0]) {
    const isName = username !== "" && username.length <= MAX_USERNAME && !/[:\p{Cc}]/u.test(username);
    violations.check(isName, "credentials.username", "must be 1 to 255 characters without a colon");
    violations.check(password !== "", "credentials.password", "is required with a username");
  }
  const secrets = { password, identity_token: identityToken, registry_token: registryToken };
  for (const [field, secret] of Object.entries(secrets)) {
    const isUsable = Buffer.byteLength(secret) <= MAX_SECRET && !/\p{Cc}/u.test(secret);
    const limit = `must have at most ${MAX_SECRET} bytes and no control characters`;
    violations.check(isUsable, `credentials.${field}`, limit);
  }
  return { username, password, identityToken, registryToken };
}
