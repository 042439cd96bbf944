import { OrganizationsServiceClient } from "../../gen/windhover/admin/v1/organizations.ts";
import { ago } from "../render/time.ts";
import type { Handler } from "../runner.ts";
import { timeJson } from "../show/json.ts";

const DEFAULT_SCOPES = ["machines:read", "machines:write"];

/** `hover token create`. The token alone goes to standard output, so that it can be piped. */
export const createToken: Handler<[], { org: string; scope?: readonly string[]; ttl?: number }> = async (
  session,
  _args,
  flags,
) => {
  const client = await session.client(OrganizationsServiceClient);
  const scopes = [...(flags.scope ?? DEFAULT_SCOPES)];
  const ttlSeconds = BigInt(Math.round((flags.ttl ?? 86_400_000) / 1_000));
  const { token, expireTime } = await session.call(client, client.createToken, {
    org: flags.org,
    scopes,
    ttlSeconds,
  });
  if (session.json) session.printJson({ token, expire_time: timeJson(expireTime), org: flags.org, scopes });
  else {
    session.printLines([token]);
    session.say(`For ${flags.org}, ${scopes.join(", ")}; ends ${ago(expireTime, Date.now())}.`);
    session.say("Next: WINDHOVER_TOKEN=... hover machine list");
  }
  return undefined;
};
