import { describe, expect, test } from "vitest";
import { CheckConfig, ServiceConfig } from "../../../../../gen/windhover/machines/v1/machine.ts";
import { faultOf, roundTrip } from "../config.fixture.ts";
import { configFromJson, configToJson } from "../convert-config.ts";

const S = (seconds: number) => ({ seconds: BigInt(seconds), nanos: 0 });

function serviceOf(members: object) {
  return configFromJson({ image: "nginx", services: [{ internal_port: 80, ...members }] }).services[0];
}

test("all that proxies act on is typed, and comes back as it was sent", () => {
  const service = {
    protocol: "tcp",
    internal_port: 8080,
    ports: [
      { start_port: 8000, end_port: 8010, handlers: ["proxy_proto"], proxy_proto_options: { version: "v2" } },
      {
        ...{ port: 443, handlers: ["tls", "http"], force_https: true },
        tls_options: { alpn: ["h2"], versions: ["TLSv1.3"], default_self_signed: true },
        http_options: {
          ...{ h2_backend: true, idle_timeout: 90, headers_read_timeout: 5, compress: true },
          response: { headers: { via: false, "x-a": "b", "x-c": ["d", "e"] }, pristine: true },
        },
      },
    ],
    autostart: false,
    autostop: "suspend",
    min_machines_running: 2,
    concurrency: { type: "requests", soft_limit: 10, hard_limit: 20 },
    checks: [
      {
        ...{ type: "http", port: 9090, interval: "90s", timeout: "2s", grace_period: "0s", method: "get" },
        ...{ path: "/up", protocol: "https", tls_server_name: "a.example", tls_skip_verify: true },
        ...{ headers: [{ name: "host", values: ["a.example"] }], status: 204, body: "ok" },
      },
    ],
    idle_timeout: "1m30s",
    wake_timeout: "30s",
  };
  const more = { snapshot: "ready", max_lifetime: "24h0m0s", max_busy: "0s" };
  const sent = {
    image: "nginx",
    services: [service],
    checks: { up: { port: 80, kind: "readiness" } },
    ...more,
  };

  const config = configFromJson(sent);

  expect(config.services).toEqual([
    ServiceConfig.fromPartial({
      ...{ protocol: "tcp", internalPort: 8080, autostart: false, autostop: "suspend" },
      ports: [
        { startPort: 8000, endPort: 8010, handlers: ["proxy_proto"], proxyProtoOptions: { version: "v2" } },
        {
          ...{ port: 443, handlers: ["tls", "http"], forceHttps: true },
          tlsOptions: { alpn: ["h2"], versions: ["TLSv1.3"], defaultSelfSigned: true },
          httpOptions: {
            ...{ h2Backend: true, idleTimeout: S(90), headersReadTimeout: S(5), pristineResponse: true },
            responseHeaders: new Map(Object.entries({ via: "", "x-a": "b", "x-c": "d, e" })),
          },
        },
      ],
      minMachinesRunning: 2,
      concurrency: { type: "requests", softLimit: 10, hardLimit: 20 },
      checks: [
        {
          ...{ type: "http", port: 9090, interval: S(90), timeout: S(2), gracePeriod: S(0), method: "get" },
          ...{ path: "/up", protocol: "https", tlsServerName: "a.example", tlsSkipVerify: true },
          ...{ headers: [{ name: "host", values: ["a.example"] }], status: 204, body: "ok" },
        },
      ],
      idleTimeout: S(90),
      wakeTimeout: S(30),
    }),
  ]);
  expect(config).toMatchObject({
    checks: new Map([["up", CheckConfig.fromPartial({ port: 80, kind: "readiness" })]]),
    ...{ snapshot: "ready", maxLifetime: S(86_400), maxBusy: S(0) },
  });
  expect(roundTrip(sent)).toMatchObject(sent);
  // What is left: an option that proxies do not have, and spellings.
  expect(config.extra?.["services"]).toEqual([
    {
      ports: [{}, { http_options: { compress: true, response: { headers: { "x-c": ["d", "e"] } } } }],
      checks: [{ interval: "90s" }],
    },
  ]);
});

test.each([
  ["nanoseconds", 30_000_000_000],
  ["text", "30s"],
])("the times of checks may be %s", (_, interval) => {
  expect(serviceOf({ checks: [{ interval }] })?.checks[0]?.interval).toEqual(S(30));
});

test.each([
  ["seconds", 30],
  ["text with a unit", "30s"],
  ["text", "30"],
])("the times of HTTP options may be %s", (_, time) => {
  const http_options = { idle_timeout: time, headers_read_timeout: time };
  const [port] = serviceOf({ ports: [{ port: 80, http_options }] })?.ports ?? [];

  expect(port?.httpOptions).toMatchObject({ idleTimeout: S(30), headersReadTimeout: S(30) });
});

test.each([
  [true, "stop"],
  [false, "off"],
  ["stop", "stop"],
  ["off", "off"],
  ["suspend", "suspend"],
  [undefined, ""],
  [null, ""],
])("autostop %j is %j", (autostop, typed) => {
  expect(serviceOf({ autostop })?.autostop).toBe(typed);
});

describe("what encoders send for nothing", () => {
  test("is absent", () => {
    const nothing = {
      ports: [{ port: 80, tls_options: {}, http_options: { response: { headers: {} } }, handlers: null }],
      concurrency: { type: "", soft_limit: 0 },
      checks: [{ interval: 0, timeout: "0s", headers: null }],
      ...{ autostart: null, min_machines_running: 0, idle_timeout: 0 },
    };

    expect(serviceOf(nothing)).toEqual(
      ServiceConfig.fromPartial({ internalPort: 80, ports: [{ port: 80 }], checks: [{}] }),
    );
  });
});

test("values of headers that are no text are named", () => {
  const headers = { a: 1, b: true, c: ["d", 2], e: null, f: [] };
  const services = [{ internal_port: 80, ports: [{ port: 80, http_options: { response: { headers } } }] }];

  const { violations } = faultOf({ image: "nginx", services });

  expect(violations.map(({ field }) => field)).toEqual(
    ["a", "b", "c"].map((name) => `config.services[0].ports[0].http_options.response.headers["${name}"]`),
  );
});

test("a header with empty text is not removed, and comes back as it was", () => {
  const headers = { "x-a": "", "x-b": "b" };
  const services = [{ internal_port: 80, ports: [{ port: 80, http_options: { response: { headers } } }] }];

  const config = configFromJson({ image: "nginx", services });

  expect(config.services[0]?.ports[0]?.httpOptions?.responseHeaders).toEqual(new Map([["x-b", "b"]]));
  expect(configToJson(config)["services"]).toMatchObject(services);
});

test("what gRPC sets is told in Fly's words", () => {
  const config = configFromJson({ image: "nginx" });
  const services = [
    ServiceConfig.fromPartial({
      ...{ protocol: "tcp", internalPort: 80, autostart: true, autostop: "off" },
      ports: [{ port: 80, handlers: ["http"], httpOptions: { idleTimeout: { seconds: 1, nanos: 5e8 } } }],
    }),
  ];

  expect(configToJson({ ...config, services })["services"]).toEqual([
    {
      ...{ protocol: "tcp", internal_port: 80, autostart: true, autostop: false },
      ports: [{ port: 80, handlers: ["http"], http_options: { idle_timeout: 1.5 } }],
    },
  ]);
});
