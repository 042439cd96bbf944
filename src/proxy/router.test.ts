import { expect, test } from "vitest";
import { fleetOf } from "../../test/support/proxy/fleet-of.ts";
import { SimFleet } from "../../test/support/proxy/sim-fleet.ts";

test("machines above their soft limits make the next one start, and nobody waits for it", async () => {
  const fleet = fleetOf(["a", "b"], 1, 0);
  fleet.request();
  await fleet.deliver();
  expect(fleet.host.startsAsked).toBe(1);

  const second = fleet.request();
  await fleet.turn();

  expect(second.place?.machineId).toBe("a");
  expect(second.place?.wake).toBeUndefined();
  expect(fleet.host.startsAsked).toBe(2);
});

test("connections end of a machine that is stopped", async () => {
  const fleet = fleetOf(["a"]);
  const request = fleet.request();
  await fleet.deliver();
  const machine = fleet.host.machines.get("a");
  if (machine) machine.state = "stopping";
  expect(request.place?.gone.aborted).toBe(false);

  fleet.host.step("a");
  await fleet.deliver(1);

  expect(request.place?.gone.aborted).toBe(true);
});

test("nobody is told that an app does not exist before the apps are known", () => {
  const nothing = { position: "", apps: [], machines: [], hosts: [] };
  const fleet = new SimFleet(1, nothing);
  const [router, table] = [fleet.routers[0], fleet.tables[0]];

  expect(() => router?.target("web.localhost", 80)).toThrow(
    expect.objectContaining({ code: "NO_ROUTES", status: 503, retryAfterS: 1 }),
  );
  table?.replace({ ...nothing, position: "1" });
  expect(router?.target("web.localhost", 80)).toBeUndefined();
});
