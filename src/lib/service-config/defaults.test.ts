import { expect, test } from "vitest";
import { checkWithDefaults, serviceWithDefaults } from "./defaults.ts";

test("a service that says nothing has the defaults of the contract", () => {
  expect(serviceWithDefaults({})).toEqual({
    ports: [],
    autostart: false,
    autostop: "off",
    minMachinesRunning: 0,
    concurrency: { type: "connections", softLimit: 20, hardLimit: 0 },
    idleTimeoutMs: 300_000,
    wakeTimeoutMs: 60_000,
  });
});

test("a port that says nothing passes bytes through, and has what its handlers would need", () => {
  expect(serviceWithDefaults({ ports: [{}] }).ports).toEqual([
    {
      ...{ port: 0, startPort: 0, endPort: 0, handlers: [], forceHttps: false },
      tls: { alpn: ["h2", "http/1.1"], versions: ["TLSv1.2", "TLSv1.3"], defaultSelfSigned: false },
      http: {
        ...{ h2Backend: false, idleTimeoutMs: 60_000, headersReadTimeoutMs: 15_000 },
        ...{ responseHeaders: {}, pristineResponse: false },
      },
      proxyProto: { version: "v1" },
    },
  ]);
});

test("what a service and its ports say stays", () => {
  const given = {
    ports: [
      {
        ...{ port: 0, startPort: 8_000, endPort: 8_010, handlers: ["tls", "http"], forceHttps: true },
        tls: { alpn: ["http/1.1"], versions: ["TLSv1.3"], defaultSelfSigned: true },
        http: {
          ...{ h2Backend: true, idleTimeoutMs: 1_000, headersReadTimeoutMs: 2_000 },
          ...{ responseHeaders: { server: "" }, pristineResponse: true },
        },
        proxyProto: { version: "v2" },
      },
    ],
    ...{ autostart: true, autostop: "suspend", minMachinesRunning: 2 },
    concurrency: { type: "requests", softLimit: 3, hardLimit: 4 },
    ...{ idleTimeoutMs: 5_000, wakeTimeoutMs: 6_000 },
  };

  expect(serviceWithDefaults(given)).toEqual(given);
});

test.each([
  [{ hardLimit: 5 }, { softLimit: 5, hardLimit: 5 }],
  [{ hardLimit: 50 }, { softLimit: 20, hardLimit: 50 }],
  [{ softLimit: 7 }, { softLimit: 7, hardLimit: 0 }],
  [
    { softLimit: 0, hardLimit: 0 },
    { softLimit: 20, hardLimit: 0 },
  ],
  [
    { softLimit: -1, hardLimit: -1 },
    { softLimit: 20, hardLimit: 0 },
  ],
])("a soft limit that is left out is 20, or the hard limit when that is less: %o", (given, limits) => {
  expect(serviceWithDefaults({ concurrency: given }).concurrency).toMatchObject(limits);
});

test("words of a later version count as left out", () => {
  const { ports, autostop, concurrency } = serviceWithDefaults({
    ports: [
      {
        handlers: ["quic", "http"],
        tls: { alpn: ["h3", "h2"], versions: ["TLSv1.3", "TLSv1.4"] },
        proxyProto: { version: "v3" },
      },
    ],
    autostop: "hibernate",
    concurrency: { type: "bytes" },
  });

  expect(ports).toMatchObject([
    {
      handlers: ["http"],
      tls: { alpn: ["h2"], versions: ["TLSv1.3"] },
      proxyProto: { version: "v1" },
    },
  ]);
  expect([autostop, concurrency.type]).toEqual(["off", "connections"]);
});

test.each([{ handlers: ["quic"] }, { handlers: ["tls"], tls: { versions: ["TLSv1.4"] } }])(
  "a port that asks only for what this version does not know is left out: %j",
  (port) => {
    expect(serviceWithDefaults({ ports: [port, { port: 80 }] }).ports).toMatchObject([{ port: 80 }]);
  },
);

test("a check that says nothing has the defaults of the contract", () => {
  expect(checkWithDefaults({})).toEqual({
    ...{ type: "tcp", port: 0, intervalMs: 15_000, timeoutMs: 10_000, gracePeriodMs: 10_000 },
    ...{ method: "GET", path: "/", protocol: "http", tlsServerName: "", tlsSkipVerify: false },
    ...{ headers: [], status: 0, body: "" },
  });
});

test("what a check says stays", () => {
  const given = {
    ...{ type: "http", port: 9, intervalMs: 1_000, timeoutMs: 100, gracePeriodMs: 0 },
    ...{ method: "HEAD", path: "/up", protocol: "https", tlsServerName: "a.example", tlsSkipVerify: true },
    ...{ headers: [{ name: "x", values: ["1"] }], status: 204, body: "ok" },
  };

  expect(checkWithDefaults(given)).toEqual(given);
});
