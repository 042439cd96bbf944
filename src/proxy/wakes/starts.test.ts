import { beforeEach, describe, expect, test } from "vitest";
import { fleetOf } from "../../../test/support/proxy/fleet-of.ts";
import { machineRoute, routesOf, serviceRoute } from "../../../test/support/proxy/route-fixtures.ts";
import { SimFleet } from "../../../test/support/proxy/sim-fleet.ts";
import { Fault } from "../../lib/faults/fault.ts";

describe("a stopped machine", () => {
  let fleet: SimFleet;
  beforeEach(async () => {
    fleet = fleetOf(["a", "b"], 20, 20);
    await fleet.deliver();
  });

  test("is started once for all requests that wait, and they are told of the start", async () => {
    const requests = Array.from({ length: 20 }, () => fleet.request());
    await fleet.deliver();

    expect(fleet.host.startsAsked).toBe(1);
    expect(requests.map(({ place }) => place?.machineId)).toEqual(Array.from({ length: 20 }, () => "a"));
    expect(requests[0]?.place?.wake).toMatchObject({ path: "warm" });
  });

  test("gets company when more wait than it takes below its soft limit", async () => {
    for (let i = 0; i < 21; i++) fleet.request();
    await fleet.deliver();

    expect(fleet.host.startsAsked).toBe(2);
    expect(fleet.held.map(({ place }) => place?.machineId).filter((id) => id === "b").length).toBeGreaterThan(
      0,
    );
    expect(fleet.waiting).toEqual([]);
  });

  test("gives way to the next one when its host is full", async () => {
    fleet.host.startFaults.set("a", new Fault("RESOURCE_EXHAUSTED", "HOST_FULL", "the host is full"));
    const request = fleet.request();
    await fleet.deliver();

    expect(request.place?.machineId).toBe("b");
  });

  test("that cannot be started, like all others, is an error with the host's reason, at once", async () => {
    for (const id of ["a", "b"])
      fleet.host.startFaults.set(id, new Fault("RESOURCE_EXHAUSTED", "HOST_FULL", "the host is full"));
    const request = fleet.request();
    await fleet.deliver();

    expect(request.error).toMatchObject({
      ...{ code: "WAKE_FAILED", status: 503, retryAfterS: 1 },
      message: expect.stringContaining("HOST_FULL"),
    });
    const starts = fleet.host.startsAsked;
    const next = fleet.request();
    await fleet.deliver(1);
    expect(next.error).toMatchObject({ code: "WAKE_FAILED" });
    expect(fleet.host.startsAsked).toBe(starts);
  });

  test("is waited for while its host does not answer, a few times", async () => {
    const fault = new Fault("UNAVAILABLE", "PEER_UNAVAILABLE", "nobody answers");
    for (const id of ["a", "b"]) fleet.host.startFaults.set(id, fault);
    const request = fleet.request();
    await fleet.deliver(4);
    expect(request.error).toBeUndefined();

    fleet.host.startFaults.clear();
    fleet.timers.advance(1_000);
    await fleet.deliver();

    expect(request.place).toBeDefined();
  });

  test("that is not ready within the budget is an error, and the start goes on", async () => {
    const request = fleet.request();
    await fleet.deliver(1);
    fleet.timers.advance(60_000);
    await fleet.turn();

    expect(request.error).toMatchObject({ code: "WAKE_TIMEOUT", status: 503 });
    await fleet.deliver();
    const next = fleet.request();
    await fleet.deliver();
    expect(next.place).toBeDefined();
    // Halfway through the budget another one was started: nothing was expected of the first any more.
    expect(fleet.host.startsAsked).toBe(2);
  });

  test("is no longer waited for when the client has left", async () => {
    const request = fleet.request();
    await fleet.turn();
    request.leave.abort(new Error("gone"));
    await fleet.turn();

    expect(request.error).toMatchObject({ message: "gone" });
    expect(fleet.routers[0]?.counts.waiting).toBe(0);
  });

  test("that never becomes ready is not kept awake for ever by its start", async () => {
    fleet.request();
    await fleet.deliver(1);
    for (const stream of fleet.host.streams) while (stream.down.length > 0) fleet.host.giveDown(stream);
    const [router] = fleet.routers;
    const usesOf = (id: string) => router?.hosts.linkOf(id)?.uses.countOf(id);
    expect(usesOf("a")).toBe(1);

    fleet.timers.advance(600_000);
    router?.sweep();
    await fleet.turn();

    expect(usesOf("a")).toBe(0);
  });

  test("that is destroyed while it starts leaves no use of it behind", async () => {
    const request = fleet.request();
    await fleet.turn();
    const [router, table] = [fleet.routers[0], fleet.tables[0]];
    const gone = { position: "2", apps: [], machines: [], hosts: [], goneApps: [], goneMachines: ["a"] };

    table?.apply(gone);
    fleet.finish(request);
    await fleet.deliver();
    for (const { place } of fleet.held) place?.release();
    fleet.timers.advance(60_000);
    router?.sweep();
    await fleet.deliver();
    fleet.timers.advance(60_000);
    router?.sweep();

    expect(router?.counts).toMatchObject({ starts: 0, uses: 0 });
  });

  test("whose program ends before it is ready is an error that says so", async () => {
    const request = fleet.request();
    await fleet.deliver(1);
    const machine = fleet.host.machines.get("a");
    if (machine) machine.state = "stopping";
    fleet.host.startFaults.set("b", new Fault("FAILED_PRECONDITION", "INVALID_STATE", "no"));
    await fleet.deliver(4);

    expect(request.error).toMatchObject({ code: "WAKE_FAILED", status: 502 });
  });
});

test("who waits for a start of somebody else is told of it too", async () => {
  const fleet = fleetOf(["a"]);
  const machine = fleet.host.machines.get("a");
  if (machine) machine.state = "starting";
  await fleet.deliver(1);
  const request = fleet.request();
  await fleet.turn();
  expect(request.place).toBeUndefined();

  await fleet.deliver();

  expect(request.place?.wake).toMatchObject({ path: "warm" });
  expect(fleet.host.startsAsked).toBe(0);
});

test("a machine whose checks fail after it was ready is not waited for where another can be started", async () => {
  const fleet = fleetOf(["a", "b"], 20);
  const first = fleet.request();
  await fleet.deliver();
  fleet.finish(first);
  const [stream] = fleet.host.streams;
  const view = stream?.link.view("a");
  if (view)
    stream?.link.received({
      ...{ machines: [{ id: "a", view: { ...view, ready: false } }], usedIds: [], lostUseMs: undefined },
    });

  const second = fleet.request();
  await fleet.deliver();

  expect([fleet.host.startsAsked, second.place?.machineId]).toEqual([2, "b"]);
});

test("machines that run, at a host that nobody hears of, are an error that passes", async () => {
  const fleet = new SimFleet(1, routesOf(machineRoute("a", { state: "started" })));
  for (const { link } of fleet.host.streams) link.lost();

  const request = fleet.request();
  await fleet.turn();

  expect(request.error).toMatchObject({
    ...{ code: "WAKE_FAILED", status: 503, retryAfterS: 1 },
    message: expect.stringContaining("HOST_UNREACHABLE"),
  });
});

test("an app whose machines are stopped with autostart off says how to repair it", async () => {
  const fleet = new SimFleet(
    1,
    routesOf(machineRoute("a", { services: [serviceRoute({ autostart: false })] })),
  );
  const request = fleet.request();
  await fleet.deliver(2);

  expect(request.error).toMatchObject({
    code: "AUTOSTART_OFF",
    message: expect.stringContaining("autostart to true"),
  });
});
