import { RegistriesServiceClient } from "../../../gen/windhover/machines/v1/registries.ts";
import { Fault, hasReason } from "../../../lib/faults/fault.ts";
import { type Credentials, passwordCredentials } from "../../../lib/oci/auth/credentials.ts";
import { normaliseName } from "../../../lib/oci/auth/repository-name.ts";
import { toJson } from "../../render/json.ts";
import { UsageError } from "../../session/faults/usage-error.ts";
import { EXIT } from "../../session/report.ts";
import { ask, readSecret } from "../../session/secret-input.ts";
import type { Session } from "../../session/session.ts";
import { dockerConfigPath, readDockerLogins } from "./docker-config.ts";

export interface LoginFlags {
  readonly username?: string;
  readonly passwordStdin?: boolean;
  readonly identityToken?: boolean;
  readonly registryToken?: boolean;
  /** True: the usual file. */
  readonly fromDockerConfig?: string | true;
  readonly check: boolean;
  /** Refused. */
  readonly password?: string;
}

/** Includes the registry's answer. */
const LOGIN_TIMEOUT_MS = 60_000;

export async function login(
  session: Session,
  [registry]: [string | undefined],
  flags: LoginFlags,
): Promise<void> {
  if (flags.password !== undefined)
    throw new UsageError("others see a password on the command line: pipe it to --password-stdin");
  const logins = flags.fromDockerConfig
    ? await fromDocker(session, registry, flags.fromDockerConfig)
    : [await typed(session, registry, flags)];
  const client = await session.client(RegistriesServiceClient);
  const stored: unknown[] = [];
  for (const [name, credentials] of logins) {
    const request = { registry: name, credentials, skipCheck: !flags.check };
    const options = { timeoutMs: LOGIN_TIMEOUT_MS };
    const answer = await session
      .call(client, client.setRegistryCredentials, request, options)
      .catch((err: unknown) => {
        // One of many that is out of date does not keep the others out.
        if (logins.length === 1 || !hasReason(err, "REGISTRY_UNAUTHORIZED")) throw err;
        session.say(`${name}: ${err.message} (${err.reason})`);
        session.exitCode = EXIT.failed;
        return undefined;
      });
    if (!answer) continue;
    stored.push(toJson(answer));
    const { login: known, isChecked } = answer;
    if (!session.json) session.printLines([`Logged in to ${known?.registry ?? name}`]);
    if (!isChecked && flags.check)
      session.say(`${name} could not be asked whether it takes them; the first pull will tell.`);
  }
  if (session.json) session.printJson(stored);
}

async function fromDocker(session: Session, registry: string | undefined, path: string | true) {
  const file = path === true ? dockerConfigPath(session.env) : path;
  const name = registry === undefined ? undefined : normaliseName(registry);
  const logins = await readDockerLogins(file, name, session.env);
  if (logins.size > 0) return [...logins];
  const message = `${file} has no login${name === undefined ? "" : ` for ${name}`}; docker login makes one`;
  throw new Fault("NOT_FOUND", "DOCKER_LOGIN_NOT_FOUND", message, { path: file });
}

async function typed(
  session: Session,
  registry: string | undefined,
  flags: LoginFlags,
): Promise<[string, Credentials]> {
  const { identityToken, registryToken, passwordStdin } = flags;
  if (registry === undefined) throw new UsageError("a registry is needed, such as ghcr.io");
  const none = passwordCredentials("", "");
  if (identityToken)
    return [registry, { ...none, identityToken: await readSecret(session, "Identity token") }];
  if (registryToken)
    return [registry, { ...none, registryToken: await readSecret(session, "Registry token") }];
  if (flags.username === undefined && (passwordStdin || !process.stdin.isTTY))
    throw new UsageError("--username is needed when the password comes from standard input");
  const username = flags.username ?? (await ask(session, "Username"));
  return [registry, passwordCredentials(username, await readSecret(session, "Password"))];
}
