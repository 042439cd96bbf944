import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  MachineState,
  type Machine as WireMachine,
} from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { durationToProto } from "../../../../src/lib/grpc/messages/duration.ts";
import { systemClock } from "../../../../src/lib/runtime/clock.ts";
import { expectCleanAfterRemoval } from "../clean.ts";
import { hostFolder, startHost, type TestHost } from "../fixture.ts";
import { present } from "../requests.ts";
import { AttachedProxy } from "./attached-proxy.ts";

const web = { protocol: "tcp", internalPort: 80, ports: [{ port: 80, handlers: ["http"] }] };
const http = {
  type: "http",
  path: "/up?deep=1",
  interval: durationToProto(1_000),
  timeout: durationToProto(900),
};

let host: TestHost;
let proxy: AttachedProxy | undefined;
const servers: Server[] = [];
beforeAll(async () => {
  host = await startHost();
});
afterAll(() => host.close());
afterEach(async () => {
  proxy?.leave();
  for (const server of servers.splice(0)) server.close().closeAllConnections();
  for (const { id } of host.machines.list()) await host.destroyLeased(id);
  await expectCleanAfterRemoval(host);
});

/** A machine whose program listens when a test says so. */
async function deaf(config: object, at = host): Promise<string> {
  const { id } = await at.created({ exec: ["sim-deaf"], config });
  await at.start(id);
  return id;
}

function listen(id: string, port: number, state: "open" | "local" | "closed" = "open", at = host): void {
  present(at.sim.vm(at.store.get(id)?.vmId ?? "")).setPort(port, state);
}

/** Serves what the guest's program would, on the port of the host. */
async function serve(machine: WireMachine, status: () => number): Promise<string[]> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.writeHead(status()).end("all is well");
  });
  servers.push(server);
  const port = Number(machine.serviceAddresses[0]?.address.split(":")[1]);
  await once(server.listen(port, "127.0.0.1"), "listening");
  return asked;
}

async function watched(id: string): Promise<AttachedProxy> {
  proxy = new AttachedProxy(host.client, "p-1");
  await proxy.say({ watchIds: [id] });
  return proxy;
}

const statuses = async (id: string) =>
  (await host.get(id)).checks.map(({ name, status }) => `${name} ${status}`);
const types = async (id: string) => (await host.get(id)).events.map(({ type }) => type);

describe("a machine", () => {
  test("that proxies send nothing is ready as soon as it is started", async () => {
    const { id } = await host.created({ config: { services: [{ protocol: "tcp", internalPort: 80 }] } });

    const { machine } = await host.start(id);

    expect(machine).toMatchObject({ ready: true, checks: [] });
    expect(await types(id)).toEqual(["start", "launch"]);
  });

  test("without checks is ready while its program listens where the host reaches it", async () => {
    const id = await deaf({ services: [web] });
    const heard = await watched(id);
    await expect.poll(() => heard.machines.get(id)).toMatchObject({ ready: false });
    const waiting = host.wait(id, { ready: true });
    listen(id, 80, "local");
    await expect
      .poll(async () => (await host.get(id)).checks[0])
      .toMatchObject({ name: "listen-80", status: "warning", output: expect.stringContaining("0.0.0.0") });

    listen(id, 80);

    expect((await waiting).machine).toMatchObject({ ready: true, state: MachineState.STARTED });
    await expect.poll(() => heard.machines.get(id)?.ready).toBe(true);
    expect((await host.get(id)).checks).toMatchObject([{ status: "passing", readiness: true }]);
    await expect.poll(() => types(id)).toEqual(["ready", "start", "launch"]);

    listen(id, 80, "closed");
    await expect.poll(() => heard.machines.get(id)?.ready).toBe(false);
    expect(await host.get(id)).toMatchObject({ ready: false });
    await host.stop(id);
    expect(await host.get(id)).toMatchObject({ ready: false, checks: [] });
    await expect(host.wait(id, { ready: true })).rejects.toMatchObject({ reason: "STATE_UNREACHABLE" });
  });

  test("is ready once all its checks of the kind readiness pass", async () => {
    const id = await deaf({
      services: [{ ...web, checks: [http] }],
      checks: new Map([
        ["gate", { type: "tcp", port: 7, kind: "readiness" }],
        ["a-side", { type: "tcp", port: 9 }],
      ]),
    });
    let status = 503;
    const asked = await serve(await host.get(id), () => status);
    listen(id, 80);
    await expect.poll(() => asked.length).toBeGreaterThan(2);
    status = 204;
    await expect
      .poll(() => statuses(id))
      .toEqual(["servicecheck-00-http-80 passing", "a-side warning", "gate warning"]);
    expect((await host.get(id)).ready).toBe(false);

    listen(id, 7);

    await host.wait(id, { ready: true });
    expect(asked[0]).toBe("GET /up?deep=1");
  });

  test("whose check fails after its grace is critical, and not ready", async () => {
    const check = { ...http, gracePeriod: durationToProto(0) };
    const id = await deaf({ services: [{ ...web, checks: [check] }] });
    let status = 200;
    await serve(await host.get(id), () => status);
    listen(id, 80);
    await host.wait(id, { ready: true });

    status = 500;

    await expect
      .poll(() => host.get(id), { timeout: 10_000 })
      .toMatchObject({
        ready: false,
        checks: [{ status: "critical", output: "GET /up?deep=1: 500 Internal Server Error: all is well" }],
      });
  });

  test("that flaps has one event of it in a while, and proxies hear of each change", async () => {
    const check = { type: "tcp", gracePeriod: durationToProto(0) };
    const id = await deaf({ services: [{ ...web, checks: [check] }] });
    const heard = await watched(id);
    for (let round = 0; round < 10; round += 1) {
      listen(id, 80);
      await expect.poll(() => heard.machines.get(id)?.ready).toBe(true);
      listen(id, 80, "closed");
      await expect.poll(() => heard.machines.get(id)?.ready).toBe(false);
    }

    const { events, generation } = await host.get(id);

    expect(events.filter(({ type }) => type === "ready" || type === "check").length).toBeLessThanOrEqual(3);
    expect(generation).toBeLessThan(10n);
  });

  test("is checked on after a restart of hostd", async () => {
    const folder = hostFolder();
    const old = await startHost({ dir: folder.path });
    const { id } = await old.created({ config: { services: [web] } });
    await old.start(id);
    await old.wait(id, { ready: true });
    await old.close();

    const next = await startHost({ dir: folder.path });

    expect((await next.get(id)).ready).toBe(true);
    listen(id, 80, "closed", next);
    await expect.poll(async () => (await next.get(id)).ready).toBe(false);
    await next.close();
    folder.remove();
  });
});

describe("a machine that is saved once it is ready", () => {
  const snapshotOf = (id: string) => host.store.get(id)?.snapshot?.name;

  test("answers its check of readiness five times in a row before", async () => {
    const id = await deaf({ services: [{ ...web, checks: [http] }], snapshot: "ready" });
    let answers = 0;
    // The third and the first one after it fail: five in a row are the fifth to the ninth.
    const asked = await serve(await host.get(id), () => (++answers === 3 || answers === 4 ? 503 : 200));

    listen(id, 80);

    await expect.poll(() => snapshotOf(id)).toBeTruthy();
    expect(asked).toHaveLength(9);
  });

  test("is ready with each start from that, and its check runs again after", async () => {
    const id = await deaf({ services: [{ ...web, checks: [http] }], snapshot: "ready" });
    await serve(await host.get(id), () => 200);
    listen(id, 80);
    await expect.poll(() => snapshotOf(id)).toBeTruthy();
    await host.stop(id);

    const { startPath, machine } = await host.start(id, { watchMs: 0 });

    expect(startPath).toBe("snapshot");
    expect(machine).toMatchObject({ ready: true, checks: [{ status: "passing" }] });
    listen(id, 80);
    // Nothing answers where the ports of this run lead to.
    await expect.poll(() => host.get(id)).toMatchObject({ ready: false, checks: [{ status: "warning" }] });
  });
});

describe("the longest life of a machine", () => {
  test("ends a run that has lasted so long, whatever its policy, and over restarts of hostd", async () => {
    const folder = hostFolder();
    const old = await startHost({ dir: folder.path });
    const hourMs = 3_600_000;
    const config = { maxLifetime: durationToProto(hourMs), restart: { policy: "always" } };
    const { id } = await old.created({ config });
    await old.start(id);
    const { lifetimeEndTime } = await old.get(id);
    await old.close();
    const next = await startHost({ dir: folder.path });
    const kept = (await next.get(id)).lifetimeEndTime;
    await next.close();

    const late = await startHost({
      dir: folder.path,
      clock: { ...systemClock, now: () => Date.now() + hourMs },
    });

    expect(lifetimeEndTime).toBeDefined();
    expect(kept).toEqual(lifetimeEndTime);
    const { machine } = await late.wait(id, { states: [MachineState.STOPPED] });
    expect(machine?.events.find(({ type }) => type === "stop")).toMatchObject({
      source: "hostd",
      message: expect.stringContaining("max_lifetime"),
    });
    expect(machine?.lifetimeEndTime).toBeUndefined();
    await late.close();
    folder.remove();
  });
});
