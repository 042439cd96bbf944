import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { operationsOf } from "./classify.ts";
import { HOP_NAMES } from "./hops.ts";
import { type SpanSketch, START_US, sketch } from "./span.fixture.ts";

const API_START = "windhover.machines.v1.MachinesService/StartMachine";
const HOST_START = "windhover.hostd.v1.HostService/StartMachine";
const CREATE = "windhover.machines.v1.MachinesService/CreateMachine";
const RECEIVED_MS = START_US / 1_000 + 500;

/** A warm start through the api, 40 ms long. */
const START: readonly SpanSketch[] = [
  { id: "client", name: API_START, service: "hover", kind: "client", at: 0, for: 44_000 },
  {
    ...{ id: "served", parent: "client", name: API_START, service: "api", kind: "server", at: 2_000 },
    ...{ for: 40_000, attributes: { "windhover.org": "acme" } },
  },
  { id: "api.start", parent: "served", service: "api", at: 2_500, for: 39_000 },
  {
    ...{ id: "call", parent: "api.start", name: HOST_START, service: "api", kind: "client", at: 3_000 },
    ...{ for: 38_000, attributes: { "windhover.host.name": "host-7" } },
  },
  {
    ...{ id: "hosted", parent: "call", name: HOST_START, kind: "server", at: 4_000, for: 36_000 },
    version: "1.4.0",
  },
  {
    ...{ id: "hostd.start", parent: "hosted", at: 4_000, for: 36_000 },
    attributes: {
      "windhover.machine.id": "0123456789abcd",
      "windhover.app": "shop",
      "windhover.region": "ams",
      "windhover.image.reference": "registry/shop:3",
      "windhover.machine.size": "shared-1x-256",
      "windhover.start.path": "warm",
      "windhover.operation.concurrency": 3,
      "windhover.pool.size": 2,
    },
  },
  { id: "hostd.admit", parent: "hostd.start", at: 4_000, for: 6_000 },
  {
    ...{ id: "hostd.start_queue", parent: "hostd.admit", at: 5_000, for: 5_000 },
    attributes: { "windhover.start.queue_length": 4 },
  },
  { id: "hostd.store", parent: "hostd.start", at: 10_000, for: 2_000 },
  { id: "hostd.acquire", parent: "hostd.start", at: 10_000, for: 29_000 },
  { id: "vmm.claim", parent: "hostd.acquire", at: 10_000, for: 1_000 },
  { id: "vmm.swap", parent: "hostd.acquire", at: 11_000, for: 3_000 },
  { id: "guest.exec", parent: "hostd.acquire", at: 14_000, for: 25_000 },
];

describe("a start through the api", () => {
  test("is one operation, with what its spans say, and each hop's time on its critical path", () => {
    expect(operations(START)).toEqual([
      {
        traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
        ...{ spanId: "served", kind: "start", startUs: START_US + 2_000, durationUs: 40_000 },
        ...{ reason: "", path: "warm", notFaster: "", org: "acme", app: "shop" },
        ...{ machineId: "0123456789abcd", host: "host-7", region: "ams", image: "registry/shop:3" },
        ...{
          size: "shared-1x-256",
          version: "1.4.0",
          queueLength: 4,
          concurrency: 3,
          poolSize: 2,
          refillMs: -1,
        },
        hops: {
          ...{ unexplained: 1_000, api: 1_000, network: 2_000, admission: 1_000, "start queue": 5_000 },
          ...{ claim: 1_000, "disk swap": 3_000, "guest exec": 25_000, hostd: 1_000 },
        },
        ...{ unexplainedUs: 1_000, skewUs: 0, lagMs: 456 },
      },
    ]);
  });

  test("has the hops of a service that nobody knows by its name", () => {
    const [operation] = operations([
      { id: "hostd.start", at: 0, for: 100 },
      { id: "jit", name: "translate", service: "jitd", parent: "hostd.start", at: 20, for: 50 },
    ]);

    expect(operation?.hops).toEqual({ unexplained: 50, jitd: 50 });
  });

  test("that found the machine running is none", () => {
    const attributes = { "windhover.operation.already": true };

    expect(operations([{ id: "api.start", at: 0, for: 900, attributes }])).toEqual([]);
  });

  test("tells how far the host's clock is off", () => {
    const late = START.map((span) => (span.service ? span : { ...span, at: span.at + 80_000 }));

    expect(operations(late)).toMatchObject([
      { durationUs: 40_000, skewUs: 80_000, hops: { network: 2_000, "guest exec": 25_000 } },
    ]);
  });

  test("stays one operation when a span between the api and the host has not arrived", () => {
    const found = operations(START.filter(({ id }) => id !== "call"));

    expect(found.map(({ spanId, path }) => [spanId, path])).toEqual([["served", "warm"]]);
  });
});

describe("a failed operation", () => {
  test("has the reason of the fault that ended it", () => {
    const [operation] = operations([
      { id: "hosted", name: HOST_START, kind: "server", at: 0, for: 90, ...refused("RESOURCE_EXHAUSTED") },
      {
        ...{ id: "hostd.start", parent: "hosted", at: 0, for: 80, status: "error" },
        attributes: { "error.type": "RESOURCE_EXHAUSTED", "windhover.error.reason": "START_QUEUE_FULL" },
      },
    ]);

    expect(operation).toMatchObject({ reason: "START_QUEUE_FULL", durationUs: 90 });
  });

  test("has its status when no span names a reason", () => {
    const span = {
      id: "x",
      name: HOST_START,
      kind: "server",
      at: 0,
      for: 9,
      ...refused("CANCELLED"),
    } as const;

    expect(operations([span])).toMatchObject([{ reason: "CANCELLED" }]);
  });

  test("has none because something below it has failed and was repaired", () => {
    const found = operations([
      { id: "hostd.start", at: 0, for: 90 },
      { id: "vmm.warm_failed", parent: "hostd.start", at: 0, for: 20, status: "error" },
    ]);

    expect(found).toMatchObject([{ reason: "", hops: { "failed path": 20 } }]);
  });
});

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

test("whatever the spans and their order, hops add up to each operation, and no operation is lost by the order", () => {
  const names = [
    API_START,
    CREATE,
    "hostd.start",
    "api.create",
    "hostd.stop",
    "proxy.wake",
    "x",
    "guest.exec",
  ];
  const id = fc.integer({ min: 0, max: 12 }).map(String);
  const one = fc.record({
    ...{ id, parent: id, name: fc.constantFrom(...names), service: fc.constantFrom("api", "hostd") },
    ...{ kind: fc.constantFrom("server" as const, "client" as const, "internal" as const) },
    ...{ at: fc.nat(5_000), for: fc.nat(5_000) },
  });
  const spans = fc.uniqueArray(one, { maxLength: 13, selector: (span) => span.id });
  const orders = spans.chain((all) =>
    fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
  );
  fc.assert(
    fc.property(orders, ([given, shuffled]) => {
      const found = operations(given);

      expect(operations(shuffled)).toEqual(found);
      for (const { hops, durationUs, unexplainedUs } of found) {
        expect(Object.values(hops).reduce((total, us) => total + us, 0)).toBe(durationUs);
        expect(unexplainedUs).toBe(hops["unexplained"] ?? 0);
      }
    }),
  );
});

test("a chain of 5,000 spans with names of their own, and 5,000 torn frames, are taken apart", () => {
  const chain = Array.from({ length: 5_000 }, (_, i) => ({
    ...{ id: `c${i}`, name: i === 0 ? "hostd.start" : `n${i}`, at: i, for: 10_000 - i },
    ...(i > 0 && { parent: `c${i - 1}` }),
  }));
  const torn = chain.map(({ id, ...rest }) => ({
    ...rest,
    id: `t${id}`,
    name: "hostd.stop",
    parent: "lost",
  }));

  const [start, ...others] = operations([...chain, ...torn]);

  expect(start).toMatchObject({ kind: "start", durationUs: 10_000 });
  expect(others.length).toBeLessThan(5_000);
});

test("services may have any names, also those of an object's own parts", () => {
  const [found] = operations([
    { id: "op", name: "hostd.start", at: 0, for: 100 },
    { id: "a", parent: "op", name: "odd", service: "__proto__", at: 0, for: 40 },
    { id: "b", parent: "op", name: "odd", service: "constructor", at: 40, for: 50 },
  ]);

  expect(new Map(Object.entries(found?.hops ?? {}))).toEqual(
    new Map([
      ["__proto__", 40],
      ["constructor", 50],
      ["unexplained", 10],
    ]),
  );
});

test("every hop is named once", () => {
  expect(new Set(HOP_NAMES).size).toBe(HOP_NAMES.length);
});

function operations(spans: readonly SpanSketch[]) {
  return operationsOf(spans.map(sketch), RECEIVED_MS);
}

function refused(code: string) {
  return { attributes: { "rpc.status_code": code } };
}
