import { beforeEach, describe, expect, test } from "vitest";
import { machineRoute, routesOf, serviceRoute } from "../../test/support/proxy/route-fixtures.ts";
import { SimFleet } from "../../test/support/proxy/sim-fleet.ts";
import { Fault } from "../lib/faults/fault.ts";

const limited = (softLimit: number, hardLimit: number) =>
  [serviceRoute({ concurrency: { type: "requests", softLimit, hardLimit } })] as const;

function fleetOf(ids: readonly string[], softLimit = 2, hardLimit = 0, proxies = 1): SimFleet {
  return new SimFleet(
    proxies,
    routesOf(...ids.map((id) => machineRoute(id, { services: limited(softLimit, hardLimit) }))),
  );
}

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

describe("the queue", () => {
  test("lets requests go at the pace of the hard limit, first come first served", async () => {
    const fleet = fleetOf(["a"], 1, 2);
    const requests = Array.from({ length: 5 }, () => fleet.request());
    await fleet.deliver();
    expect(requests.map(({ place }) => place !== undefined)).toEqual([true, true, false, false, false]);

    const [first] = requests;
    if (first) fleet.finish(first);
    await fleet.deliver(2);

    expect(requests.map(({ place }) => place !== undefined)).toEqual([true, true, true, false, false]);
  });

  test("lets nobody pass who has a wish that any machine can fulfil", async () => {
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

  test("says that all are at their hard limits when the time is over", async () => {
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
  ])("does not flood a machine without hard limit, and loses nobody%s", async (_, wish) => {
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

  test("is bounded, for a service and for an organisation", async () => {
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
});

describe("machines that run", () => {
  test("above their soft limits make the next one start, and nobody waits for it", async () => {
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

  test("end the connections of a machine that is stopped", async () => {
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

  test("of one organisation that take their time to end leave others theirs", async () => {
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

  test("are stopped when they have been idle, and not before", async () => {
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
