import { afterAll, beforeAll, expect, it } from "vitest";
import { call } from "../../../src/lib/grpc/client.ts";
import { type Clients, clientsOf } from "../../support/clients.ts";
import { startFleet, type TestFleet } from "../../support/fleet.ts";
import {
  type Flood,
  framed,
  openCalls,
  openConnections,
  residentMib,
  unfinishedMessage,
} from "../../support/net/flood.ts";

const MIB = 1_024 * 1_024;
/** What a service's memory may grow by, whatever strangers do. */
const GROWTH_MIB = 64;
const LIMIT = { timeoutMs: 60_000 };
/** Longer than the deadlines of open methods and of connections that say nothing. */
const SOON = { timeout: 150_000 };

let fleet: TestFleet;
let clients: Clients;

beforeAll(async () => {
  fleet = await startFleet({ hosts: 1 });
  clients = clientsOf(fleet.api, fleet.token);
});
afterAll(async () => {
  clients?.close();
  await fleet?.close();
});

/** The gRPC ports, with a method that asks for a token. */
function grpcPorts() {
  const [region] = fleet.regions;
  const [host] = fleet.hosts;
  if (!region || !host) throw new Error("the fleet has no host");
  return [
    { part: "api", address: region.api, method: "/windhover.machines.v1.AppsService/ListApps" },
    {
      part: "scheduler",
      address: region.schedulers[0]?.address ?? "",
      method: "/windhover.scheduler.v1.SchedulerService/ListHosts",
    },
    { part: "hostd-1", address: host.hostd, method: "/windhover.hostd.v1.HostService/ListMachines" },
    {
      part: "imagecache-1",
      address: host.imagecache,
      method: "/windhover.imagecache.v1.ImageCacheService/ListImages",
    },
  ];
}

it("strangers who flood every gRPC port take little memory, and keep nobody from being served", async () => {
  await clients.createApp("before");
  for (const { part, address, method } of grpcPorts()) {
    const before = residentMib(fleet.pid(part) ?? 0);
    const health = { address, path: "/grpc.health.v1.Health/Check" };
    const floods: Flood[] = [
      await openCalls({ ...health, streams: 60, streamsPerConnection: 10, body: unfinishedMessage(4 * MIB) }),
      await openCalls({
        ...{ address, path: "/grpc.health.v1.Health/Watch" },
        ...{ streams: 3_000, streamsPerConnection: 1_500, body: framed(Buffer.alloc(0)), ends: true },
      }),
      await openCalls({
        ...{ address, path: "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo" },
        ...{ streams: 60, streamsPerConnection: 10, body: unfinishedMessage(4 * MIB) },
      }),
      await openCalls({
        address,
        path: method,
        streams: 60,
        streamsPerConnection: 10,
        body: unfinishedMessage(4 * MIB),
      }),
      await openConnections(address, 600),
    ];

    // All messages and most streams are refused; what is left does not grow.
    await expect.poll(() => [0, 2, 3].map((i) => floods[i]?.ended), SOON).toEqual([60, 60, 60]);
    await expect.poll(() => floods[1]?.ended ?? 0, SOON).toBeGreaterThan(100);
    await expect.poll(() => floods[4]?.ended ?? 0, SOON).toBeGreaterThan(300);
    const { apps } = clients.raw;
    const listed = await call(apps, apps.listApps, { pageSize: 10, pageToken: "" }, LIMIT);
    expect(listed.apps.map(({ name }) => name)).toContain("before");
    expect(residentMib(fleet.pid(part) ?? 0) - before).toBeLessThan(GROWTH_MIB);
    for (const flood of floods) await flood[Symbol.asyncDispose]();
  }
});

it("strangers who fill the ports of metrics and traces with connections keep nobody out", async () => {
  const [region] = fleet.regions;
  const ports = [
    { part: "api", address: region?.apiMetrics ?? "", path: "/healthz" },
    { part: "traces", address: fleet.traces.replace("http://", ""), path: "/healthz" },
  ];
  for (const { part, address, path } of ports) {
    const before = residentMib(fleet.pid(part) ?? 0);
    const flood = await openConnections(address, 400);

    await expect
      .poll(() => fetch(`http://${address}${path}`).then(({ status }) => status, String), SOON)
      .toBe(200);

    expect(residentMib(fleet.pid(part) ?? 0) - before).toBeLessThan(GROWTH_MIB);
    await flood[Symbol.asyncDispose]();
  }
});

it("strangers who flood the proxy take little memory, and keep nobody from being served", async () => {
  const { PROXY_LISTEN: address = "" } = fleet.part("proxy").spec.environment;
  // At its first floods a process grows by V8's young generation, which is up to 128 MiB.
  for (let times = 0; times < 3; times += 1) await floodProxy(address);
  const before = residentMib(fleet.pid("proxy") ?? 0);

  const silent = await openConnections(address, 600);
  await floodProxy(address);
  // Connections that say nothing end after 15 s.
  await expect.poll(() => silent.ended, SOON).toBe(600);

  expect(residentMib(fleet.pid("proxy") ?? 0) - before).toBeLessThan(GROWTH_MIB);
});

async function floodProxy(address: string): Promise<void> {
  // More than a window: of several MiB, a client of Node takes its own session for a flood.
  const body = unfinishedMessage(MIB / 2);
  const floods: readonly Flood[] = [
    await openCalls({ address, path: "/", streams: 60, streamsPerConnection: 10, body }),
    await openCalls({
      ...{ address, path: "/", streams: 3_000, streamsPerConnection: 1_500 },
      ...{ body: Buffer.from("x"), ends: true },
    }),
  ];
  // Nobody has the host name: all are answered.
  await expect.poll(() => floods.map(({ ended }) => ended), SOON).toEqual([60, 3_000]);
  expect((await fetch(`http://${address}/`)).status).toBe(404);
  for (const flood of floods) await flood[Symbol.asyncDispose]();
}
