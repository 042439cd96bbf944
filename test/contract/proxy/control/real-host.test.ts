import { afterEach, beforeEach, expect, test } from "vitest";
import { AppRoute, HostRoute } from "../../../../src/gen/windhover/admin/v1/routes.ts";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { type Control, openControl } from "../../../../src/proxy/proxy.ts";
import { plainAsk } from "../../../support/proxy/route-fixtures.ts";
import { temporaryFolder } from "../../../support/temporary.ts";
import { KEYS, startHost, type TestHost, token } from "../../hostd/fixture.ts";
import { HOST_NUMBER } from "../../hostd/requests.ts";
import { FakeApi } from "./fake-api.ts";
import { machineRoute, serviceConfig } from "./fixture.ts";

/** A new hostd stops nothing for being idle for so long. */
const LOST_USE_MS = 30_000;
const clock = {
  aheadMs: 0,
  now: () => Date.now() + clock.aheadMs,
  monotonicMs: () => performance.now() + clock.aheadMs,
};

let host: TestHost;
let control: Control;
let id = "";
const api = new FakeApi(KEYS.publicKey);
const folder = temporaryFolder("real-host");

beforeEach(async () => {
  host = await startHost({ clock });
  clock.aheadMs += LOST_USE_MS;
  const services = [serviceConfig()];
  ({ id } = await host.created({ config: { services } }));
  const { address } = host;
  api.routes = [
    {
      apps: [AppRoute.fromPartial({ name: "web", org: "acme" })],
      machines: [machineRoute(id, { services, hostNumber: HOST_NUMBER })],
      hosts: [HostRoute.fromPartial({ number: HOST_NUMBER, name: "host-7", region: "ord", address })],
      ...{ beginsAnew: true, position: "p1" },
    },
  ];
  await api.start();
  control = await openControl({
    ...{ id: "ord-1", region: "ord", apis: [api.address], domains: ["localhost"], token },
    ...{ routesFile: `${folder.path}/routes.json`, idlePassMs: 50 },
  });
  await expect.poll(() => control.router.target("web.localhost", 80)).toBeDefined();
});
afterEach(async () => {
  await control.stop();
  await api.stop();
  await host.close();
  folder.remove();
});

async function admitted() {
  const target = control.router.target("web.localhost", 80);
  if (!target) throw new Error("nobody has the host name");
  return await control.router.admit(target, plainAsk(), AbortSignal.timeout(30_000));
}

const state = async () => (await host.get(id)).state;

test("hostd starts a machine for a request, keeps it while it is used, stops it when it is idle, and starts it again", async () => {
  const place = await admitted();
  expect(place).toMatchObject({
    machineId: id,
    region: "ord",
    wake: { path: expect.stringMatching(/^\w+$/) },
  });
  expect(`${place.address.host}:${place.address.port}`).toBe(
    (await host.get(id)).serviceAddresses[0]?.address,
  );

  // Idle by the host's clock, were it not for the use.
  clock.aheadMs += 60_000;
  const asked = control.router.counts.uses;
  expect([asked, await state()]).toEqual([1, MachineState.STARTED]);
  place.release();

  await expect.poll(state).toBe(MachineState.STOPPED);
  const { events } = await host.get(id);
  expect(events.filter(({ source }) => source === "proxy").map(({ type }) => type)).toEqual(
    expect.arrayContaining(["start"]),
  );
  const again = await admitted();
  expect(again.machineId).toBe(id);
  again.release();
});
