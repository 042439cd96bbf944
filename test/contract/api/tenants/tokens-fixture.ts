import { call } from "../../../../src/lib/grpc/client.ts";
import { clients } from "../clients.ts";
import type { TestApi, World } from "../fixture.ts";

const LIMIT = { timeoutMs: 20_000 };
export const SCOPES = ["machines:read", "machines:write"];

/** Removes all organisations but one, and what they have. */
export async function clearOrgs(world: World): Promise<void> {
  await world.clear();
  for (const table of ["tokens", "token_revocations", "apps"]) await world.sql(`delete from ${table}`);
  await world.sql("delete from organizations where slug <> 'personal'");
}

/** Makes a token, and clients with it. */
export async function makeToken(api: TestApi, org = "personal", subject = "ci") {
  const { orgs } = api.admin;
  const request = { org, scopes: SCOPES, ttlSeconds: 600n, subject };
  const { token, id } = await call(orgs, orgs.createToken, request, LIMIT);
  return { token, id, as: await clients(api.address, token) };
}

export async function createOrg(api: TestApi, slug: string) {
  const { orgs } = api.admin;
  return await call(orgs, orgs.createOrganization, { slug, name: "", quota: undefined }, LIMIT);
}
