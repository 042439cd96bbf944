import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Standing } from "../../../src/gen/windhover/admin/v1/organizations.ts";
import { readRevocations } from "../../../src/lib/auth/revocation-file.ts";
import { Revocations } from "../../../src/lib/auth/revocations.ts";
import { call, openStream } from "../../../src/lib/grpc/client.ts";
import { temporaryFolder } from "../../support/temporary.ts";
import { clients, faultOf } from "./clients.ts";
import { type TestApi, World } from "./fixture.ts";

const LIMIT = { timeoutMs: 20_000 };
const SCOPES = ["machines:read", "machines:write"];

let world: World;
let api: TestApi;

beforeAll(async () => {
  world = await World.open();
  api = await world.api();
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.clear();
  for (const table of ["tokens", "token_revocations", "apps"]) await world.sql(`delete from ${table}`);
  await world.sql("delete from organizations where slug <> 'personal'");
  await api.user.createApp("web");
});

async function make(org = "personal", subject = "ci") {
  const { orgs } = api.admin;
  const request = { org, scopes: SCOPES, ttlSeconds: 600n, subject };
  const { token, id } = await call(orgs, orgs.createToken, request, LIMIT);
  return { token, id, as: await clients(api.address, token) };
}

async function listed(org = "") {
  const { tokens } = api.admin;
  return (await call(tokens, tokens.listTokens, { org, pageSize: 0, pageToken: "" }, LIMIT)).tokens;
}

function apps(as: Awaited<ReturnType<typeof make>>["as"]) {
  return call(as.apps, as.apps.listApps, { pageSize: 0, pageToken: "" }, LIMIT);
}

describe("tokens", () => {
  test("are listed without their text, with who made them and for whom", async () => {
    const { token, id } = await make();

    const [one, ...others] = await listed("personal");

    expect(others).toEqual([]);
    expect(one).toMatchObject({ id, org: "personal", subject: "ci", creator: "test", scopes: SCOPES });
    expect(one?.last4).toBe(token.slice(-4));
    expect(one?.revokeTime).toBeUndefined();
    const stored = await world.sql("select to_jsonb(t)::text as row from tokens t");
    expect(JSON.stringify(stored)).not.toContain(token.slice(0, -4));
  });

  test("are listed in pages, newest first, and not once they have expired", async () => {
    const ids = [(await make()).id, (await make()).id, (await make()).id];
    await world.sql(`update tokens set expire_time = now() where id = '${ids[0]}'`);
    const { tokens } = api.admin;

    const first = await call(tokens, tokens.listTokens, { org: "", pageSize: 1, pageToken: "" }, LIMIT);
    const next = { org: "", pageSize: 1, pageToken: first.nextPageToken };
    const second = await call(tokens, tokens.listTokens, next, LIMIT);

    expect([...first.tokens, ...second.tokens].map(({ id }) => id)).toEqual([ids[2], ids[1]]);
    expect(second.nextPageToken).toBe("");
  });

  test("are revoked by their id at once, one by one, and revoking again succeeds", async () => {
    const [one, other] = [await make(), await make()];
    const { tokens } = api.admin;
    await apps(one.as);

    const answers = [1, 2].map(() => call(tokens, tokens.revokeToken, { id: one.id }, LIMIT));

    expect(await Promise.all(answers)).toEqual([{ known: true }, { known: true }]);
    expect(await faultOf(apps(one.as))).toMatchObject({
      code: "UNAUTHENTICATED",
      reason: "TOKEN_REVOKED",
      facts: { token: one.id },
    });
    await apps(other.as);
    const times = (await listed()).map(({ id, revokeTime }) => [id, revokeTime !== undefined]);
    expect(Object.fromEntries(times)).toEqual({ [one.id]: true, [other.id]: false });
  });

  test("of any origin can be revoked, and a wrong id is named", async () => {
    const { tokens } = api.admin;

    const unknown = await call(tokens, tokens.revokeToken, { id: "ab".repeat(12) }, LIMIT);
    const wrong = call(tokens, tokens.revokeToken, { id: "me" }, LIMIT);

    expect(unknown).toEqual({ known: false });
    expect(await faultOf(wrong)).toMatchObject({ reason: "INVALID_FIELDS", facts: { fields: "id" } });
  });

  test("of an organisation are revoked all at once, and new ones work", async () => {
    await createOrg("acme");
    const before = await make("acme");
    const { tokens } = api.admin;

    await call(tokens, tokens.revokeOrganizationTokens, { org: "acme" }, LIMIT);
    const after = await make("acme");

    expect(await faultOf(apps(before.as))).toMatchObject({ reason: "TOKEN_REVOKED" });
    await apps(after.as);
    await apps(await make("personal").then(({ as }) => ({ ...as })));
    const nobody = call(tokens, tokens.revokeOrganizationTokens, { org: "nobody" }, LIMIT);
    expect(await faultOf(nobody)).toMatchObject({ reason: "ORG_NOT_FOUND" });
  });

  test("are revoked on other apis within two seconds, and after a restart without Postgres", async () => {
    const folder = temporaryFolder("api-state");
    const other = await world.api({ stateDir: folder.path });
    const { id, token } = await make();
    const there = await clients(other.address, token);
    await apps(there);

    await call(api.admin.tokens, api.admin.tokens.revokeToken, { id }, LIMIT);
    await expect
      .poll(() => faultOf(apps(there)).catch(() => undefined))
      .toMatchObject({
        reason: "TOKEN_REVOKED",
      });
    await expect.poll(() => kept(folder.path).list.tokens).toContain(id);
    await other.close();
    const databaseUrl = "postgres:///none?host=/nonexistent";
    const restarted = await world.api({ stateDir: folder.path, databaseUrl });
    const again = await clients(restarted.address, token);

    expect(await faultOf(apps(again))).toMatchObject({ reason: "TOKEN_REVOKED" });
    await restarted.close();
    folder.remove();
  });

  test("keys are told to anybody with a token", async () => {
    const { tokens } = api.user;
    const { keys } = await call(tokens, tokens.listTokenKeys, {}, LIMIT);

    expect(keys.map(({ id, publicKey }) => [id, publicKey.length])).toEqual([[1, 32]]);
  });
});

describe("a banned organisation", () => {
  /** A new one for each test: apis remember who is banned until they ask again. */
  let org = "";
  let made = 0;
  beforeEach(() => {
    org = `acme-${++made}`;
    return createOrg(org);
  });

  test("reads, stops and destroys what it has, and does nothing else, until it is good again", async () => {
    const { as } = await make(org);
    await as.createApp("shop");
    const { machine } = await as.create({ app: "shop", skipLaunch: false });
    const machineId = machine?.id ?? "";
    await setStanding(Standing.BANNED);

    const refused = [as.start(machineId), as.create({ app: "shop" }), as.createApp("more")].map(faultOf);
    expect(await Promise.all(refused)).toEqual(
      refused.map(() => expect.objectContaining({ code: "PERMISSION_DENIED", reason: "ORG_BANNED" })),
    );
    await as.get(machineId);
    const stop = { machineId, signal: "", timeout: undefined };
    await call(as.machines, as.machines.stopMachine, stop, LIMIT);
    await setStanding(Standing.GOOD);
    await as.start(machineId);
    await setStanding(Standing.BANNED);
    await call(as.machines, as.machines.destroyMachine, { machineId, force: true }, LIMIT);
  });

  test("is told to hosts that listen, with revoked tokens, whole and again with every change", async () => {
    const { revocations } = api.internal;
    const { id } = await make(org);
    const abort = new AbortController();
    const scope = { timeoutMs: Number.POSITIVE_INFINITY, signal: abort.signal };
    const stream = openStream(revocations, revocations.watchRevocations, {}, scope);
    const first = await stream.next();

    await setStanding(Standing.BANNED);
    const second = await stream.next();
    await call(api.admin.tokens, api.admin.tokens.revokeToken, { id }, LIMIT);
    const third = await stream.next();
    abort.abort();

    expect(first.value).toMatchObject({ more: false });
    expect(second.value).toMatchObject({ orgs: [{ org, suspended: true }] });
    expect(third.value).toMatchObject({ tokens: [id], orgs: [{ org, suspended: true }] });
    expect(Number(third.value?.version)).toBeGreaterThan(Number(second.value?.version));
    const user = openStream(api.user.revocations, api.user.revocations.watchRevocations, {}, LIMIT);
    expect(await faultOf(user.next())).toMatchObject({ reason: "SCOPE_MISSING" });
  });

  async function setStanding(standing: Standing): Promise<void> {
    const { orgs } = api.admin;
    await call(
      orgs,
      orgs.updateOrganization,
      { slug: org, standing, quota: undefined, limits: undefined },
      LIMIT,
    );
  }
});

async function createOrg(slug: string) {
  const { orgs } = api.admin;
  return await call(orgs, orgs.createOrganization, { slug, name: "", quota: undefined }, LIMIT);
}

function kept(stateDir: string): Revocations {
  const revocations = new Revocations();
  readRevocations(join(stateDir, "revocations.json"), revocations);
  return revocations;
}
