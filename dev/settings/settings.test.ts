import { describe, expect, test } from "vitest";
import { type FleetShape, listenersOf, localSettings, privateSettings } from "./settings.ts";

const make = (hosts: number, env: NodeJS.ProcessEnv = {}) =>
  localSettings("/tmp", "/tmp/guest", { hosts }, env);
const world = (shape: Partial<FleetShape>) =>
  localSettings(
    "/tmp",
    "/tmp/guest",
    { hosts: 2, regions: ["ord", "gru"], ...shape },
    { SCHEDULER_LISTEN: "127.0.0.1:7071", HOSTS_FIRST_PORT: "7100" },
  );

test("the addresses are the documented ones, and each can be moved", () => {
  expect(make(2)).toMatchObject({
    regions: [
      {
        region: "ord",
        api: "127.0.0.1:7070",
        rest: "127.0.0.1:7080",
        apiMetrics: "127.0.0.1:9100",
        proxy: "127.0.0.1:8080",
        proxyTls: "127.0.0.1:8443",
        proxyMetrics: "127.0.0.1:9109",
        schedulers: [{ address: "unix:/tmp/sockets/scheduler-ord.sock", metrics: "127.0.0.1:9101" }],
      },
    ],
    registry: "127.0.0.1:5000",
    traces: "127.0.0.1:4318",
    tracesGrpc: "127.0.0.1:4317",
    console: "127.0.0.1:7090",
    hosts: [
      {
        hostd: "unix:/tmp/sockets/hostd-1.sock",
        imagecache: "unix:/tmp/sockets/imagecache-1.sock",
        hostdMetrics: "127.0.0.1:9110",
        imagecacheMetrics: "127.0.0.1:9111",
      },
      {
        hostd: "unix:/tmp/sockets/hostd-2.sock",
        imagecache: "unix:/tmp/sockets/imagecache-2.sock",
        hostdMetrics: "127.0.0.1:9112",
        imagecacheMetrics: "127.0.0.1:9113",
      },
    ],
  });
  const moved = make(1, {
    API_LISTEN: "127.0.0.1:9000",
    API_REST_LISTEN: "127.0.0.1:9080",
    SCHEDULER_LISTEN: "127.0.0.1:9001",
    HOSTS_FIRST_PORT: "9100",
    API_METRICS_LISTEN: "127.0.0.1:9500",
    PROXY_LISTEN: "127.0.0.1:9081",
    HOSTS_FIRST_METRICS_PORT: "9200",
    MACHINES_FIRST_PORT: "21000",
  });
  expect(moved).toMatchObject({
    regions: [
      {
        api: "127.0.0.1:9000",
        rest: "127.0.0.1:9080",
        apiMetrics: "127.0.0.1:9500",
        proxy: "127.0.0.1:9081",
        schedulers: [{ address: "127.0.0.1:9001" }],
      },
    ],
    hosts: [{ hostd: "127.0.0.1:9100", hostdMetrics: "127.0.0.1:9200", machinePorts: "21000-21999" }],
  });
});

describe("wrong values are refused with the variable's name and an example", () => {
  test.each([
    [{ API_LISTEN: "7070" }, /API_LISTEN must be HOST:PORT/],
    [{ REGISTRY_LISTEN: "127.0.0.1:99999" }, /REGISTRY_LISTEN must be HOST:PORT/],
    [{ HOSTS_FIRST_PORT: "abc" }, /HOSTS_FIRST_PORT must be a whole number from 1 to 65535/],
    [{ MACHINES_FIRST_PORT: "40000" }, /MACHINES_FIRST_PORT=40000 leaves no ports/],
  ])("%o", (env, message) => {
    expect(() => make(2, env)).toThrow(message);
  });
});

test.each([0, 65, 1.5])("%d hosts are refused", (hosts) => {
  expect(() => make(hosts)).toThrow(/--hosts takes a number/);
});

test.each([1, 2, 12, 64])("%d hosts have ports of their own, below those the kernel hands out", (hosts) => {
  const settings = make(hosts);
  const ranges = settings.hosts.map((host) => host.machinePorts.split("-").map(Number));
  const addresses = listenersOf(settings).map((listener) => listener.address);

  expect(new Set(addresses).size).toBe(addresses.length);
  for (const [index, [first = 0, last = 0]] of ranges.entries()) {
    expect(last).toBeGreaterThanOrEqual(first);
    expect(last).toBeLessThan(32_768);
    expect(first).toBeGreaterThan(ranges[index - 1]?.[1] ?? 0);
  }
});

test("a further region has its ports 200 above, replicas have theirs after the first", () => {
  expect(world({ schedulers: 2 })).toMatchObject({
    regions: [
      { region: "ord", schedulers: [{ address: "127.0.0.1:7071" }, { address: "127.0.0.1:7072" }] },
      {
        region: "gru",
        api: "127.0.0.1:7270",
        apiMetrics: "127.0.0.1:9300",
        proxy: "127.0.0.1:8081",
        proxyMetrics: "127.0.0.1:9309",
        schedulers: [
          { address: "127.0.0.1:7271", metrics: "127.0.0.1:9301" },
          { address: "127.0.0.1:7272", metrics: "127.0.0.1:9302" },
        ],
      },
    ],
    hosts: [
      { number: 1, name: "ord-1" },
      { number: 2, name: "ord-2" },
      { number: 3, name: "gru-3", zone: "gru-a", hostd: "127.0.0.1:7104" },
      { number: 4, name: "gru-4" },
    ],
  });
});

test("the largest fleet has no address twice", () => {
  const regions = ["ord", "gru", "ams", "fra", "sin", "syd", "nrt", "sjc"];
  const addresses = listenersOf(world({ regions, hosts: 8, schedulers: 8 })).map(({ address }) => address);

  expect(new Set(addresses).size).toBe(addresses.length);
});

test.each([
  [{ regions: ["ord", "ord"] }, /--regions takes 1 to 8 different names/],
  [{ regions: ["ord", "Sao Paulo"] }, /"Sao Paulo" is none/],
  [{ schedulers: 9 }, /--schedulers takes a number from 1 to 8/],
  [{ hosts: 33 }, /--hosts takes a number from 1 to 32 for each region/],
])("%o is refused", (shape, message) => {
  expect(() => world(shape)).toThrow(message);
});

test("a private fleet shares no address with the local one", async () => {
  const local = new Set(listenersOf(make(2)).map((listener) => listener.address));
  const own = listenersOf(await privateSettings("/var/tmp", "/tmp/guest", 2, {}));

  expect(own.filter((listener) => local.has(listener.address))).toEqual([]);
});
