import { expect, test } from "vitest";
import { CREATE, HOST_START, operations } from "./classify.fixture.ts";

test("a create is one operation, and the start of its machine another, each with its own hops", () => {
  const found = operations([
    { id: "served", name: CREATE, service: "api", kind: "server", at: 0, for: 100_000, version: "2" },
    { id: "api.create", parent: "served", service: "api", at: 0, for: 100_000 },
    { id: "api.preflight", parent: "api.create", service: "api", at: 0, for: 10_000 },
    {
      ...{
        id: "sql",
        parent: "api.preflight",
        name: "INSERT saga",
        service: "api",
        kind: "client",
        at: 2_000,
      },
      ...{ for: 8_000, attributes: { "db.system.name": "postgresql" } },
    },
    { id: "saga.create", parent: "api.create", service: "api", at: 10_000, for: 89_000 },
    { id: "saga.create.reserve", parent: "saga.create", service: "api", at: 10_000, for: 20_000 },
    {
      ...{ id: "reserve", parent: "saga.create.reserve", name: "windhover.scheduler.v1.X/Reserve" },
      ...{ service: "api", kind: "client", at: 11_000, for: 19_000 },
    },
    { id: "saga.create.commit", parent: "saga.create", service: "api", at: 30_000, for: 9_000 },
    { id: "saga.create.launch", parent: "saga.create", service: "api", at: 39_000, for: 60_000 },
    {
      id: "call",
      parent: "saga.create.launch",
      name: HOST_START,
      service: "api",
      kind: "client",
      at: 39_000,
      for: 60_000,
    },
    { id: "hosted", parent: "call", name: HOST_START, kind: "server", at: 41_000, for: 56_000, version: "1" },
    { id: "hostd.start", parent: "hosted", at: 41_000, for: 56_000 },
    { id: "guest.exec", parent: "hostd.start", at: 43_000, for: 54_000 },
  ]);

  expect(found).toMatchObject([
    {
      ...{ kind: "create", spanId: "served", version: "2", durationUs: 100_000, unexplainedUs: 0 },
      hops: {
        preflight: 10_000,
        auction: 20_000,
        commit: 9_000,
        launch: 4_000,
        hostd: 2_000,
        "guest exec": 54_000,
        api: 1_000,
      },
    },
    { kind: "start", spanId: "hosted", version: "1", durationUs: 56_000 },
  ]);
});

test("a wake is queue, start, readiness and application, with the start on the host in it", () => {
  const found = operations([
    { id: "proxy.request", service: "proxy", kind: "server", at: 0, for: 900_000 },
    { id: "proxy.wake", parent: "proxy.request", service: "proxy", at: 0, for: 60_000 },
    { id: "proxy.queue", parent: "proxy.wake", service: "proxy", at: 0, for: 5_000 },
    { id: "proxy.start", parent: "proxy.wake", service: "proxy", at: 5_000, for: 40_000 },
    {
      id: "call",
      parent: "proxy.start",
      name: HOST_START,
      service: "proxy",
      kind: "client",
      at: 5_000,
      for: 40_000,
    },
    { id: "hosted", parent: "call", name: HOST_START, kind: "server", at: 6_000, for: 38_000 },
    { id: "hostd.start", parent: "hosted", at: 6_000, for: 38_000 },
    { id: "proxy.readiness", parent: "proxy.wake", service: "proxy", at: 45_000, for: 10_000 },
    {
      id: "proxy.application",
      parent: "proxy.wake",
      service: "proxy",
      kind: "client",
      at: 55_000,
      for: 800_000,
    },
  ]);

  expect(found).toMatchObject([
    {
      ...{ kind: "wake", durationUs: 60_000, unexplainedUs: 0 },
      hops: { "proxy queue": 5_000, network: 2_000, hostd: 38_000, readiness: 10_000, application: 5_000 },
    },
    { kind: "start", durationUs: 38_000 },
  ]);
});

test("bids of other hosts do not name the host of a create, the last that it worked on does", () => {
  const host = (name: string) => ({ attributes: { "windhover.host.name": name } });
  const found = operations([
    { id: "api.create", service: "api", at: 0, for: 100 },
    { id: "scheduler.bid", parent: "api.create", service: "scheduler", at: 90, for: 1, ...host("other") },
    { id: "award", parent: "api.create", service: "api", at: 10, for: 10, ...host("refusing") },
    { id: "again", parent: "api.create", service: "api", at: 30, for: 10, ...host("taking") },
  ]);

  expect(found).toMatchObject([{ host: "taking" }]);
});
