import { OrganizationsServiceClient } from "../../../gen/windhover/admin/v1/organizations.ts";
import { toJson } from "../../render/json.ts";
import { ago } from "../../render/time.ts";
import type { Session } from "../../session/session.ts";
import type { HoverCommand } from "../command.ts";
import { duration, words } from "../values.ts";

const DEFAULT_SCOPES = ["machines:read", "machines:write"];
const DEFAULT_TTL_MS = 86_400_000;

export function defineToken(token: HoverCommand): void {
  token
    .leaf("create", "Creates a token and prints it; it is not stored anywhere")
    .requiredOption("-o, --org <slug>", "organisation it is for")
    .option(
      "-s, --scope <scopes>",
      `machines:read, machines:write, admin; several with commas (default: ${DEFAULT_SCOPES.join()})`,
      words,
    )
    .option("--ttl <time>", "how long it is valid, 1m to 365d (default: 1d)", duration)
    .runs(createToken, (_args, { org }) => ({ org }));
}

/** Prints the token alone on standard output, so that it can be piped. */
async function createToken(
  session: Session,
  _args: [],
  flags: { org: string; scope?: readonly string[]; ttl?: number },
): Promise<void> {
  const { org, scope = DEFAULT_SCOPES, ttl = DEFAULT_TTL_MS } = flags;
  const client = await session.client(OrganizationsServiceClient);
  const request = { org, scopes: [...scope], ttlSeconds: BigInt(Math.round(ttl / 1_000)) };
  const { token, expireTime } = await session.call(client, client.createToken, request);
  if (session.json)
    return session.printJson({ token, expire_time: toJson(expireTime), org, scopes: request.scopes });
  session.printLines([token]);
  session.say(`For ${org}, ${scope.join(", ")}; expires ${ago(expireTime, Date.now())}.`);
  session.suggest("WINDHOVER_TOKEN=... hover machine list");
}
