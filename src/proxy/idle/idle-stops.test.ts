import { expect, test } from "vitest";
import { fleetOf } from "../../../test/support/proxy/fleet-of.ts";
import { machineRoute, routesOf, serviceRoute } from "../../../test/support/proxy/route-fixtures.ts";
import { SimFleet } from "../../../test/support/proxy/sim-fleet.ts";
import { Fault } from "../../lib/faults/fault.ts";

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

test.each([
  ["can never be suspended is stopped", "UNIMPLEMENTED", "SUSPEND_NOT_SUPPORTED", 1],
  ["cannot be suspended now is tried again, and stopped then", "RESOURCE_EXHAUSTED", "DISK_FULL", 2],
  ["could not be saved is tried again, and stopped then", "INTERNAL", "SUSPEND_FAILED", 2],
] as const)("an idle machine that %s", async (_, code, reason, tries) => {
  const services = [serviceRoute({ autostop: "suspend" })];
  const fleet = new SimFleet(1, routesOf(machineRoute("a", { services, state: "started" })));
  fleet.host.suspendFault = new Fault(code, reason, "no");
  await fleet.deliver();
  fleet.timers.advance(40_000);

  for (let pass = 0; pass < 10 && fleet.host.machines.get("a")?.state !== "stopped"; pass++) {
    fleet.routers[0]?.stopIdle();
    await fleet.deliver(3);
    fleet.timers.advance(30_000);
  }

  expect([fleet.host.machines.get("a")?.state, fleet.host.suspendsRefused]).toEqual(["stopped", tries]);
});
