import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Standing } from "../../../../src/gen/windhover/admin/v1/organizations.ts";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { call, openStream } from "../../../../src/lib/grpc/client.ts";
import { changeCalls } from "../../../support/change-calls.ts";

import { faultOf } from "../../../support/fault-of.ts";
import { type TestApi, verifier, World } from "../fixture.ts";
import { clearOrgs, createOrg, makeToken } from "./tokens-fixture.ts";

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
});

describe("a banned organisation", () => {
  /** A new one for each test: apis remember who is banned until they ask again. */
  let org = "";
  let made = 0;
  beforeEach(() => {
    org = `acme-${++made}`;
    return createOrg(api, org);
  });

  test("reads, stops and destroys what it has, and does nothing else, until it is good again", async () => {
    const { as } = await makeToken(api, org);
    await as.createApp("shop");
    const { machine } = await as.create({ app: "shop", skipLaunch: false });
    const machineId = machine?.id ?? "";
    await setStanding(Standing.BANNED);

    const changes = changeCalls(as);
    const refused = [
      ...[as.start(machineId), as.create({ app: "shop" }), as.createApp("more")],
      ...[changes.update(machineId, {}), changes.restart(machineId), changes.metadata(machineId, { a: "1" })],
    ].map(faultOf);
    expect(await Promise.all(refused)).toEqual(
      refused.map(() => expect.objectContaining({ code: "PERMISSION_DENIED", reason: "ORG_BANNED" })),
    );
    await as.get(machineId);
    await changes.signal(machineId, "SIGHUP");
    await changes.cordon(machineId, true);
    const { lease } = await changes.acquire(machineId);
    await changes.release(machineId, lease?.nonce ?? "");
    const stop = { machineId, signal: "", timeout: undefined, leaseNonce: "" };
    await call(as.machines, as.machines.stopMachine, stop, LIMIT);
    await setStanding(Standing.GOOD);
    await as.start(machineId);
    await setStanding(Standing.BANNED);
    await call(as.machines, as.machines.destroyMachine, { leaseNonce: "", machineId, force: true }, LIMIT);
  });

  test("that is banned during a create gets its machine, which its host does not start", async () => {
    const { as } = await makeToken(api, org);
    await as.createApp("shop");
    world.host(1).before("prepareMachine", async () => {
      await setStanding(Standing.BANNED);
      verifier.revocations.replace({
        version: Date.now(),
        tokens: [],
        orgs: [{ org, isSuspended: true, notBeforeMs: 0 }],
      });
    });

    const { machine } = await as.create({ app: "shop", skipLaunch: false });

    expect(machine?.state).toBe(MachineState.CREATED);
    expect((await as.get(machine?.id ?? ""))?.state).toBe(MachineState.CREATED);
  });

  test("is told to hosts that listen, with revoked tokens, whole and again with every change", async () => {
    const { revocations } = api.internal;
    const { id } = await makeToken(api, org);
    // Removing what other tests have banned is a change, too.
    const [row] = await world.sql("select version::float8 as version from revocations_version");
    await expect.poll(() => api.revocations.list.version).toBe(row?.["version"]);
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
