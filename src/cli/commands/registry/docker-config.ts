import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Fault } from "../../../lib/faults/fault.ts";
import { parseAuths } from "../../../lib/oci/auth/auth-file.ts";
import { type Credentials, passwordCredentials } from "../../../lib/oci/auth/credentials.ts";
import { normaliseName } from "../../../lib/oci/auth/repository-name.ts";

/** The logins of a Docker configuration, by registry. */
export type DockerLogins = ReadonlyMap<string, Credentials>;

const HELPER_TIMEOUT_MS = 60_000;

/** Where `docker login` writes. */
export function dockerConfigPath(env: NodeJS.ProcessEnv): string {
  return join(env["DOCKER_CONFIG"] || join(homedir(), ".docker"), "config.json");
}

/**
 * Reads the logins of Docker, Podman or Skopeo: those in the file, and those that credential helpers keep.
 *
 * @param registry the only one that is needed; undefined: all
 * @throws Fault `DOCKER_CONFIG_INVALID`
 */
export async function readDockerLogins(
  path: string,
  registry: string | undefined,
  env: NodeJS.ProcessEnv,
): Promise<DockerLogins> {
  const { text, json } = await read(path);
  const logins = new Map<string, Credentials>();
  for (const [key, helper] of helpersOf(json)) {
    const name = normaliseName(key);
    if (registry !== undefined && name !== registry) continue;
    const kept = await askHelper(helper, key, env);
    if (kept) logins.set(name, kept);
  }
  // What is in the file counts more than a helper for all registries, which leaves nothing there.
  for (const [name, credentials] of parseAuths(text))
    if (registry === undefined || name === registry) logins.set(name, credentials);
  return logins;
}

interface DockerConfig {
  readonly auths?: Readonly<Record<string, unknown>> | null;
  readonly credsStore?: unknown;
  readonly credHelpers?: Readonly<Record<string, unknown>> | null;
}

async function read(path: string): Promise<{ text: string; json: DockerConfig }> {
  try {
    const text = await readFile(path, "utf8");
    parseAuths(text);
    return { text, json: (JSON.parse(text) ?? {}) as DockerConfig };
  } catch (err) {
    const { code } = err as { code?: unknown };
    const why = code === "ENOENT" ? "there is none" : "it is not what docker login writes";
    const message = `the Docker configuration ${path} cannot be used: ${why}`;
    throw new Fault("FAILED_PRECONDITION", "DOCKER_CONFIG_INVALID", message, { path });
  }
}

function helpersOf(config: DockerConfig): [key: string, helper: string][] {
  const { credsStore } = config;
  const [auths, credHelpers] = [config.auths ?? {}, config.credHelpers ?? {}];
  const store = typeof credsStore === "string" ? credsStore : "";
  const stored = Object.keys(auths).map((key): [string, unknown] => [key, credHelpers[key] ?? store]);
  const all = [...stored, ...Object.entries(credHelpers)];
  return all.flatMap(([key, helper]) =>
    typeof helper === "string" && /^[\w.-]+$/.test(helper) ? [[key, helper] as [string, string]] : [],
  );
}

/** Returns undefined when the helper has nothing or is not there. */
async function askHelper(
  helper: string,
  key: string,
  env: NodeJS.ProcessEnv,
): Promise<Credentials | undefined> {
  const options = { timeout: HELPER_TIMEOUT_MS, env };
  const run = promisify(execFile)(`docker-credential-${helper}`, ["get"], options);
  run.child.stdin?.on("error", () => undefined).end(key);
  try {
    const answer = JSON.parse((await run).stdout) as { Username?: unknown; Secret?: unknown };
    const [username, secret] = [String(answer.Username ?? ""), String(answer.Secret ?? "")];
    if (secret === "") return undefined;
    // What helpers say for an identity token.
    const isToken = username === "<token>";
    return isToken
      ? { ...passwordCredentials("", ""), identityToken: secret }
      : passwordCredentials(username, secret);
  } catch {
    return undefined;
  }
}
