import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { createLogger } from "../../../../src/lib/runtime/log.ts";
import type { Control } from "../../../../src/proxy/proxy.ts";
import { ControlFixture, machineRoute, routesOf, serviceConfig } from "./fixture.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";

let fixture: ControlFixture;

beforeEach(async () => {
  fixture = await ControlFixture.start();
  fixture.host.add("m1", 20_001);
  fixture.api.routes = [
    { ...routesOf(fixture.host, machineRoute("m1")), beginsAnew: true },
    { position: "p1" },
  ];
});
afterEach(() => fixture.close());

async function opened(apis?: readonly string[]): Promise<Control> {
  const control = await fixture.open(apis);
  await expect.poll(() => control.table.position).not.toBe("");
  return control;
}

/** Starts the machine by a request, and lets it become ready. */
async function wake(control: Control) {
  const admitted = fixture.admit(control, { traceparent: `00-${TRACE}-b7ad6b7169203331-01` });
  await expect.poll(() => fixture.host.log).toContainEqual("start m1 proxy true");
  fixture.host.change("m1", { ready: true });
  return await admitted;
}

describe("routes", () => {
  test("come from the apis in turn, and the next watch goes on where the last one was", async () => {
    const control = await opened(["127.0.0.1:1", fixture.api.address]);
    expect(control.router.target("www.example.com", 80)).toMatchObject({ app: "web", org: "acme" });

    await fixture.api.stop();
    await fixture.api.start();

    await expect.poll(() => fixture.api.positions).toEqual(["", "p1"]);
    fixture.api.tell({ apps: [{ name: "web", org: "", hostnames: [] }], position: "p2" });
    await expect.poll(() => control.router.target("web.localhost", 80)).toBeUndefined();
  });

  test("are kept in a file, with which a proxy starts when no api answers", async () => {
    const first = await opened();
    await first.stop();
    await fixture.api.stop();

    const control = await fixture.open();

    expect(control.table.position).toBe("p1");
    const place = await wake(control);
    expect(place.address).toEqual({ host: "127.0.0.1", port: 20_001 });
  });

  test("are replaced as a whole when a watch begins anew", async () => {
    const control = await opened();
    const { apps, ...others } = routesOf(fixture.host, machineRoute("m2", { app: "other" }));

    fixture.api.tell({ ...others, beginsAnew: true });
    fixture.api.tell({ apps: apps.map((app) => ({ ...app, name: "other" })) });
    expect(control.table.app("web")).toBeDefined();
    fixture.api.tell({ position: "p9" });

    await expect.poll(() => control.table.app("other")).toBeDefined();
    expect([control.table.app("web"), control.table.machine("m1")]).toEqual([undefined, undefined]);
  });
});

describe("a request for a stopped machine", () => {
  test("starts it in its own trace, after the host has heard of the use, and waits until it is ready", async () => {
    const control = await opened();

    const place = await wake(control);

    const { log, traceparents } = fixture.host;
    expect(log.indexOf("use m1")).toBeLessThan(log.indexOf("start m1 proxy true"));
    expect(traceparents).toHaveLength(1);
    expect(place).toMatchObject({
      machineId: "m1",
      instanceId: "v1",
      wake: { path: "warm", traceId: "trace-1" },
    });
    place.release();
  });

  test("fails with the host's reason when the start does", async () => {
    fixture.host.startFault = new Fault("RESOURCE_EXHAUSTED", "NO_MEMORY", "the host has no memory left");
    const control = await opened();

    await expect(fixture.admit(control)).rejects.toMatchObject({
      ...{ code: "WAKE_FAILED", status: 503, retryAfterS: 1 },
      message: expect.stringContaining("NO_MEMORY"),
    });
  });

  test("is told when autostart is off", async () => {
    const services = [serviceConfig({ autostart: false })];
    fixture.api.routes = [
      { ...routesOf(fixture.host, machineRoute("m1", { services })), beginsAnew: true, position: "p1" },
    ];
    const control = await opened();

    await expect(fixture.admit(control)).rejects.toMatchObject({ code: "AUTOSTART_OFF", status: 503 });
  });
});

describe("a host", () => {
  test("is told of all uses again after its stream was lost, and requests go on", async () => {
    const control = await opened();
    const place = await wake(control);

    fixture.host.log.length = 0;
    fixture.host.cut();
    const other = await fixture.admit(control);

    expect(other.machineId).toBe("m1");
    await expect.poll(() => fixture.host.log).toEqual(["attach ord-1", "use m1"]);
    expect(place.gone.aborted).toBe(false);
  });

  test("that another proxy of the same name is attached to makes this one say so", async () => {
    const lines: string[] = [];
    createLogger("test", { write: (line) => lines.push(line) });
    try {
      await wake(await opened());

      fixture.host.cut(new Fault("ABORTED", "PROXY_REPLACED", "another stream has taken its place"));

      await expect.poll(() => lines.join("")).toContain("PROXY_ID");
    } finally {
      createLogger("test", { write: () => {} });
    }
  });

  test("ends the connections of a machine that it has stopped", async () => {
    const control = await opened();
    const place = await wake(control);

    fixture.host.change("m1", { state: MachineState.STOPPING, ready: false });
    fixture.host.change("m1", { state: MachineState.STOPPED });

    await expect.poll(() => place.gone.aborted).toBe(true);
  });

  test("is asked to stop an idle machine on condition, and again after it has refused", async () => {
    const control = await opened();
    const refusal = new Fault("FAILED_PRECONDITION", "MACHINE_IN_USE", "in use", {}, { retryAfterMs: 100 });
    fixture.host.stopFaults.push(refusal);
    const place = await wake(control);
    place.release();

    const stops = () => fixture.host.log.filter((each) => each === "stop m1 proxy").length;
    await expect.poll(stops).toBe(2);
    expect(fixture.host.log).toContainEqual("release m1");
    expect(fixture.host.ifUnusedForMs).toBe(1_000);
  });
});
