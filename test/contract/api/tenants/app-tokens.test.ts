import { createPublicKey } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  AcquireMachineRequest,
  AcquireServiceClient,
  type AcquireStep,
} from "../../../../src/gen/windhover/machines/v1/acquire.ts";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import {
  ListMachinesRequest,
  type MachinesServiceClient,
  WatchMachinesRequest,
} from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { biscuits } from "../../../../src/lib/auth/biscuit/user-token.ts";
import { publicBytes } from "../../../../src/lib/auth/keys.ts";
import { call, connect, openStream } from "../../../../src/lib/grpc/client.ts";
import { faultOf } from "../../../support/fault-of.ts";
import { type Clients, clients, KEYS, token } from "../clients.ts";
import { type TestApi, World } from "../fixture.ts";

const LIMIT = { timeoutMs: 20_000 };

let world: World;
let api: TestApi;
let bearer: string;
/** Restricted to the app `web`. */
let ofWeb: Clients;

beforeAll(async () => {
  world = await World.open();
  api = await world.api();
  for (const app of ["web", "shop"]) await api.user.createApp(app);
  const whole = await token("personal", ["machines:read", "machines:write"]);
  const key = publicBytes(createPublicKey(KEYS.publicKey));
  bearer = await biscuits.attenuate(whole, key, 'check if app("web")');
  ofWeb = await clients(api.address, bearer);
});
afterAll(async () => {
  ofWeb.close();
  await world.close();
});
beforeEach(() => world.clear());

async function machineOf(app: string): Promise<string> {
  const { machine } = await api.user.create({ app, skipLaunch: true });
  return machine?.id ?? "";
}

describe("a token that its holder has restricted to an app", () => {
  test("reads, starts, waits for and destroys machines of that app, and of no other", async () => {
    const [own, other] = [await machineOf("web"), await machineOf("shop")];

    expect((await ofWeb.get(own))?.id).toBe(own);
    expect((await ofWeb.start(own)).machine?.state).toBe(MachineState.STARTED);
    const refused = [ofWeb.get(other), ofWeb.start(other), ofWeb.get("0000fffffffff1")];
    for (const fault of await Promise.all(refused.map(faultOf)))
      expect(fault).toMatchObject({ code: "PERMISSION_DENIED", reason: "TOKEN_RESTRICTED" });
    expect(world.onHosts.find(({ id }) => id === other)?.state).toBe(MachineState.CREATED);
  });

  test("creates and lists in that app alone", async () => {
    expect((await ofWeb.create({ app: "web" })).machine?.app).toBe("web");
    const list = (client: MachinesServiceClient, app: string) =>
      call(client, client.listMachines, ListMachinesRequest.fromPartial({ app }), LIMIT);

    expect((await list(ofWeb.machines, "web")).machines).toHaveLength(1);
    const refused = [ofWeb.create({ app: "shop" }), list(ofWeb.machines, "shop"), list(ofWeb.machines, "")];
    for (const { reason } of await Promise.all(refused.map(faultOf))) expect(reason).toBe("TOKEN_RESTRICTED");
  });

  test("is told about itself and of the regions, and of no other apps", async () => {
    const { platform, apps } = ofWeb;

    const caller = await call(platform, platform.getCaller, {}, LIMIT);
    const { regions } = await call(platform, platform.listRegions, {}, LIMIT);

    expect(caller).toMatchObject({ org: "personal", checks: ['check if app("web")'] });
    expect(regions.length).toBeGreaterThan(0);
    const list = call(apps, apps.listApps, { pageSize: 0, pageToken: "" }, LIMIT);
    expect((await faultOf(list)).reason).toBe("TOKEN_RESTRICTED");
  });

  test("watches and acquires only what is all of that app", async () => {
    const [own, other] = [await machineOf("web"), await machineOf("shop")];
    const { machines } = ofWeb;
    const watch = async (request: Partial<WatchMachinesRequest>) => {
      const whole = WatchMachinesRequest.fromPartial(request);
      for await (const { changes } of openStream(machines, machines.watchMachines, whole, LIMIT))
        return changes;
      return [];
    };
    const acquirer = connect(AcquireServiceClient, api.address, { token: () => bearer });
    const start = (machineId: string): AcquireStep => ({
      step: { $case: "start", value: { machineId } },
      timeout: undefined,
    });
    const acquire = (...ids: string[]) => {
      const request = AcquireMachineRequest.fromPartial({ steps: ids.map(start) });
      return call(acquirer, acquirer.acquireMachine, request, LIMIT);
    };

    expect((await watch({ machineIds: [own] })).map(({ machine }) => machine?.id)).toEqual([own]);
    expect((await faultOf(watch({ machineIds: [own, other] }))).reason).toBe("TOKEN_RESTRICTED");
    expect((await faultOf(watch({}))).reason).toBe("TOKEN_RESTRICTED");
    expect((await faultOf(acquire(own, other))).reason).toBe("TOKEN_RESTRICTED");
    expect((await acquire(own)).machine?.id).toBe(own);
    acquirer.close();
  });
});
