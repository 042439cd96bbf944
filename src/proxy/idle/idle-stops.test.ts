import { expect, test } from "vitest";
import { fleetOf } from "../../../test/support/proxy/fleet-of.ts";
import { machineRoute, routesOf } from "../../../test/support/proxy/route-fixtures.ts";
import { SimFleet } from "../../../test/support/proxy/sim-fleet.ts";

test("idle machines of one organisation that take their time to end leave others theirs", async () => {
  const mine = Array.from({ length: 20 }, (_, i) => machineRoute(`a${i}`, { state: "started" }));
  const other = machineRoute("b", { app: "other", state: "started" });
  const routes = routesOf(...mine, other);
  const apps = [...routes.apps, { name: "other", org: "other", hostnames: [] }];
  const fleet = new SimFleet(1, { ...routes, apps });
  await fleet.deliver();
  fleet.routers[0]?.stopIdle();
  fleet.timers.advance(30_000);

  fleet.routers[0]?.stopIdle();

  const asked = fleet.host.calls.map(({ machineId }) => machineId);
  expect([asked.length, asked.includes("b")]).toEqual([17, true]);
});

test("machines are stopped when they have been idle, and not before", async () => {
  const fleet = fleetOf(["a"]);
  const request = fleet.request();
  await fleet.deliver();
  const pass = async () => {
    fleet.routers[0]?.sweep();
    fleet.routers[0]?.stopIdle();
    await fleet.deliver(3);
  };
  fleet.timers.advance(60_000);
  await pass();
  expect(fleet.host.machines.get("a")?.state).toBe("started");

  fleet.finish(request);
  await pass();
  fleet.timers.advance(15_000);
  await pass();
  expect(fleet.host.machines.get("a")?.state).toBe("started");
  fleet.timers.advance(10_000);
  await pass();
  await pass();
  expect(fleet.host.machines.get("a")?.state).toBe("stopped");
});
