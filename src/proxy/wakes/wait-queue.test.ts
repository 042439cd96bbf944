import { expect, test } from "vitest";
import { fleetOf } from "../../../test/support/proxy/fleet-of.ts";
import { machineRoute, routesOf } from "../../../test/support/proxy/route-fixtures.ts";
import { SimFleet } from "../../../test/support/proxy/sim-fleet.ts";

test("the queue lets requests go at the pace of the hard limit, first come first served", async () => {
  const fleet = fleetOf(["a"], 1, 2);
  const requests = Array.from({ length: 5 }, () => fleet.request());
  await fleet.deliver();
  expect(requests.map(({ place }) => place !== undefined)).toEqual([true, true, false, false, false]);

  const [first] = requests;
  if (first) fleet.finish(first);
  await fleet.deliver(2);

  expect(requests.map(({ place }) => place !== undefined)).toEqual([true, true, true, false, false]);
});

test("the queue lets nobody pass who has a wish that any machine can fulfil", async () => {
  const fleet = fleetOf(["a"], 1, 1);
  fleet.request();
  await fleet.deliver();
  const plain = fleet.request();
  const wishing = fleet.request(0, { preferRegions: ["ord"] });
  await fleet.turn();

  const [first] = fleet.held;
  if (first) fleet.finish(first);
  const late = fleet.request(0, { preferRegions: ["ord"] });
  await fleet.deliver(2);

  expect([plain, wishing, late].map(({ place }) => place?.machineId)).toEqual(["a", undefined, undefined]);
});

test("the queue says that all are at their hard limits when the time is over", async () => {
  const fleet = fleetOf(["a"], 1, 1);
  fleet.request();
  await fleet.deliver();
  const request = fleet.request();
  await fleet.turn();
  fleet.timers.advance(60_000);
  await fleet.turn();

  expect(request.error).toMatchObject({ code: "ALL_AT_HARD_LIMIT" });
});

test.each([
  ["", {}],
  [", nor those who want that machine alone", { forceInstance: "a" }],
])("the queue does not flood a machine without hard limit, and loses nobody%s", async (_, wish) => {
  const fleet = fleetOf(["a"], 2);
  for (let i = 0; i < 10; i++) fleet.request(0, wish);
  await fleet.deliver();
  const first = fleet.held.length;
  expect(first).toBeGreaterThanOrEqual(2);
  expect(first).toBeLessThan(10);

  for (let i = 0; i < 10; i++) {
    fleet.timers.advance(25);
    await fleet.turn();
  }

  expect(fleet.held.length).toBe(10);
});

test("the queue is bounded, for a service and for an organisation", async () => {
  const routes = routesOf(machineRoute("a"));
  const fleet = new SimFleet(1, routes, { perService: 3, perOrg: 10, total: 10 });
  const requests = Array.from({ length: 5 }, () => fleet.request());
  await fleet.turn();

  expect(requests.map(({ error }) => (error as { code?: string } | undefined)?.code)).toEqual([
    ...[undefined, undefined, undefined, "QUEUE_FULL", "QUEUE_FULL"],
  ]);
  const org = new SimFleet(1, routes, { perService: 3, perOrg: 1, total: 10 });
  org.request();
  const second = org.request();
  await org.turn();
  expect(second.error).toMatchObject({ code: "QUEUE_FULL" });
});

test("requests of an app that is deleted meanwhile wait no more, and those of its successor are served", async () => {
  const fleet = fleetOf(["a"], 1, 1);
  const [table] = fleet.tables;
  fleet.request();
  await fleet.deliver();
  const waiting = [fleet.request(), fleet.request(0, { forceInstance: "a" })];
  await fleet.turn();
  const nothing = { position: "2", apps: [], machines: [], hosts: [], goneApps: [], goneMachines: [] };

  table?.apply({ ...nothing, goneApps: ["web"], goneMachines: ["a"] });
  await fleet.turn();

  const codes = waiting.map(({ error }) => (error as { code?: string } | undefined)?.code);
  expect(codes).toEqual(["NO_MACHINE", "NO_MACHINE"]);
  expect(fleet.routers[0]?.counts.waiting).toBe(0);
  fleet.host.add("b", "stopped");
  const { apps, machines } = routesOf(machineRoute("b"));
  table?.apply({ ...nothing, position: "3", apps, machines });
  const next = fleet.request();
  await fleet.deliver();
  expect(next.place?.machineId).toBe("b");
});
