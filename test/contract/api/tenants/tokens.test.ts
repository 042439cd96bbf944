import { createPublicKey } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ReadAuditRequest } from "../../../../src/gen/windhover/admin/v1/audit.ts";
import { ExecServiceClient, ExecStart } from "../../../../src/gen/windhover/machines/v1/exec.ts";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { WaitMachineRequest } from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { issueToken } from "../../../../src/lib/auth/auth.ts";
import { biscuits } from "../../../../src/lib/auth/biscuit/user-token.ts";
import { publicBytes } from "../../../../src/lib/auth/keys.ts";
import { readRevocations } from "../../../../src/lib/auth/revocation-file.ts";
import { Revocations } from "../../../../src/lib/auth/revocations.ts";
import { openDuplex } from "../../../../src/lib/grpc/calls/duplex.ts";
import { call, connect, openStream } from "../../../../src/lib/grpc/client.ts";
import { faultOf } from "../../../support/fault-of.ts";
import { ManualClock } from "../../../support/manual-clock.ts";
import { temporaryFolder } from "../../../support/temporary.ts";
import { clients, KEYS, token } from "../clients.ts";
import { type TestApi, World } from "../fixture.ts";
import { clearOrgs, createOrg, makeToken, SCOPES } from "./tokens-fixture.ts";

const LIMIT = { timeoutMs: 20_000 };

let world: World;
let api: TestApi;

beforeAll(async () => {
  world = await World.open();
  api = await world.api();
});
afterAll(() => world.close());
beforeEach(async () => {
  await clearOrgs(world);
  await api.user.createApp("web");
});

const make = (org?: string, subject?: string) => makeToken(api, org, subject);

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
    await createOrg(api, "acme");
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

  test("that an api with a fast clock made before the revocation of all are revoked, too", async () => {
    await createOrg(api, "fast");
    const { id } = await make("fast");
    const grant = { subject: "ci", org: "fast", scopes: ["machines:read"] } as const;
    const early = await issueToken(KEYS.privateKey, grant, 600, new ManualClock(Date.now() + 60_000));
    await world.sql(`update tokens set id = '${early.id}' where id = '${id}'`);
    const as = await clients(api.address, early.token);
    await apps(as);

    await call(api.admin.tokens, api.admin.tokens.revokeOrganizationTokens, { org: "fast" }, LIMIT);

    expect(await faultOf(apps(as))).toMatchObject({ reason: "TOKEN_REVOKED" });
  });

  test("are not made with a token that was restricted: theirs would not be", async () => {
    await createOrg(api, "acme");
    const admin = await token("personal", ["admin"]);
    const key = publicBytes(createPublicKey(KEYS.publicKey));
    for (const code of ["check if time($t), $t < 2100-01-01T00:00:00Z", 'check if action("tokens:create")']) {
      const { orgs } = await clients(api.address, await biscuits.attenuate(admin, key, code));
      const request = { org: "acme", scopes: ["admin"], ttlSeconds: 31_536_000n, subject: "" };

      expect(await faultOf(call(orgs, orgs.createToken, request, LIMIT))).toMatchObject({
        code: "PERMISSION_DENIED",
        reason: "TOKEN_RESTRICTED",
      });
    }
  });

  test("of operators that are restricted to an organisation reach that one's objects alone", async () => {
    await createOrg(api, "acme");
    const admin = await token("personal", ["admin"]);
    const key = publicBytes(createPublicKey(KEYS.publicKey));
    for (const own of ["acme", "personal"]) {
      const other = own === "acme" ? "personal" : "acme";
      const { orgs, tokens, audit } = await clients(
        api.address,
        await biscuits.attenuate(admin, key, `check if org("${own}")`),
      );
      const page = { pageSize: 0, pageToken: "" };
      const read = (org: string) =>
        openStream(audit, audit.readAudit, ReadAuditRequest.fromPartial({ org }), LIMIT).next();
      await call(orgs, orgs.getOrganization, { slug: own }, LIMIT);
      await call(tokens, tokens.listTokens, { org: own, ...page }, LIMIT);
      await read(own);

      const refused = [
        call(orgs, orgs.getOrganization, { slug: other }, LIMIT),
        call(orgs, orgs.listOrganizations, page, LIMIT),
        call(tokens, tokens.listTokens, { org: "", ...page }, LIMIT),
        call(tokens, tokens.listTokens, { org: other, ...page }, LIMIT),
        call(tokens, tokens.revokeOrganizationTokens, { org: other }, LIMIT),
        read(other),
        read(""),
      ];
      for (const fault of await Promise.all(refused.map(faultOf)))
        expect(fault).toMatchObject({ reason: "TOKEN_RESTRICTED" });
    }
  });

  test("that are revoked end the streams and waits that they have opened", async () => {
    const { id, as } = await make();
    const kept = await make();
    const { machine } = await as.create({ skipLaunch: false });
    const follow = ReadAuditRequest.fromPartial({ follow: true });
    const open = (of: typeof as) => openStream(of.audit, of.audit.readAudit, follow, { timeoutMs: 60_000 });
    const [stream, other] = [open(as), open(kept.as)];
    await stream.next();
    await other.next();
    const request = WaitMachineRequest.fromPartial({
      machineId: machine?.id ?? "",
      states: [MachineState.STOPPED],
    });
    const wait = faultOf(call(as.machines, as.machines.waitMachine, request, { timeoutMs: 60_000 }));
    const ended = faultOf(drained(stream));

    await call(api.admin.tokens, api.admin.tokens.revokeToken, { id }, LIMIT);

    const facts = { code: "UNAUTHENTICATED", reason: "TOKEN_REVOKED" };
    expect(await ended).toMatchObject(facts);
    expect(await wait).toMatchObject(facts);
    await kept.as.createApp("goes-on");
    expect((await other.next()).done).toBe(false);
    await other.return(undefined);
  });

  test("that are revoked end the sessions that they have opened in machines", async () => {
    const { id, as, token } = await make();
    const { machine } = await as.create({ skipLaunch: false });
    const [reached, over] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    world.host(1).before("execMachine", () => {
      reached.resolve();
      return over.promise;
    });
    const exec = connect(ExecServiceClient, api.address, { token: () => token });
    const session = openDuplex(exec, exec.execMachine, { timeoutMs: 60_000 });
    const ended = faultOf(Array.fromAsync(session.messages));
    const start = { $case: "start", value: ExecStart.fromPartial({ command: ["sh"] }) } as const;
    await session.write({ machineId: machine?.id ?? "", message: start });
    await reached.promise;

    await call(api.admin.tokens, api.admin.tokens.revokeToken, { id }, LIMIT);

    expect(await ended).toMatchObject({ code: "UNAUTHENTICATED", reason: "TOKEN_REVOKED" });
    over.resolve();
    exec.close();
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

async function drained(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

function kept(stateDir: string): Revocations {
  const revocations = new Revocations();
  readRevocations(join(stateDir, "revocations.json"), revocations);
  return revocations;
}
