import { describe, expect, test } from "vitest";
import { API_START, HOST_START, operations } from "./classify.fixture.ts";
import { type SpanSketch, START_US } from "./span.fixture.ts";

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

function refused(code: string) {
  return { attributes: { "rpc.status_code": code } };
}
