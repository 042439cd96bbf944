import { describe, expect, it, test } from "vitest";
import type {
  CheckSettings,
  LifeSettings,
  PortSettings,
  ServiceSettings,
} from "../../../lib/service-config/service-config.ts";
import { checkLife, type ServiceInput, validServices } from "./validate-services.ts";

const WEB = { protocol: "tcp", internalPort: 8080 };
const HOUR_MS = 3_600_000;

function problemsOf(services: readonly ServiceInput[], life: LifeSettings = {}): Record<string, string> {
  const found: Record<string, string> = {};
  const check = (holds: boolean, field: string, description: string) => {
    if (!holds) found[field] = description;
  };
  validServices(services, check);
  checkLife(life, check);
  return found;
}

const fieldsOf = (settings: ServiceSettings, protocol = "tcp") =>
  Object.keys(problemsOf([{ ...WEB, protocol, ...settings }]));
const portFieldsOf = (...ports: PortSettings[]) => fieldsOf({ ports });
const checkFieldsOf = (check: CheckSettings) => fieldsOf({ checks: [check] });

describe("services", () => {
  test("are taken as they are, with all that they may have", () => {
    const full: ServiceInput = {
      ...WEB,
      ports: [
        { port: 80, handlers: ["http"], forceHttps: true },
        {
          port: 443,
          handlers: ["tls", "http"],
          tls: { alpn: ["h2", "http/1.1"], versions: ["TLSv1.2", "TLSv1.3"], defaultSelfSigned: true },
          http: {
            h2Backend: true,
            idleTimeoutMs: 24 * HOUR_MS,
            headersReadTimeoutMs: 60_000,
            responseHeaders: { "x-frame-options": "DENY", server: "" },
            pristineResponse: true,
          },
        },
        {
          startPort: 5432,
          endPort: 5440,
          handlers: ["pg_tls", "proxy_proto"],
          proxyProto: { version: "v2" },
        },
        { startPort: 9000, endPort: 9000 },
      ],
      autostart: true,
      autostop: "suspend",
      minMachinesRunning: 1_000,
      concurrency: { type: "requests", softLimit: 20, hardLimit: 20 },
      checks: [
        { type: "tcp", intervalMs: 1_000, timeoutMs: 1_000, gracePeriodMs: 0 },
        {
          ...{ type: "http", kind: "readiness", port: 9090, method: "post", path: "/health?a=%20" },
          ...{ intervalMs: HOUR_MS, timeoutMs: 60_000, gracePeriodMs: HOUR_MS },
          ...{ protocol: "https", tlsServerName: "_a.example.com", status: 401, body: "ok" },
          headers: [{ name: "Host", values: ["example.com", ""] }],
        },
      ],
      idleTimeoutMs: 1_000,
      wakeTimeoutMs: 600_000,
    };
    const udp: ServiceInput = { protocol: "udp", internalPort: 53, ports: [{ port: 443 }], autostop: "off" };

    expect(problemsOf([full, udp])).toEqual({});
    expect(validServices([full, udp, { protocol: "", internalPort: 1 }], () => {})).toEqual([
      full,
      udp,
      { protocol: "tcp", internalPort: 1 },
    ]);
  });

  test("have every wrong field named at once, with the fix", () => {
    const problems = problemsOf([
      {
        ...WEB,
        ports: [{}, { port: 443, handlers: ["http2"] }],
        autostop: "maybe",
        minMachinesRunning: -1,
        concurrency: { type: "bytes", softLimit: 30, hardLimit: 20 },
        checks: [{ type: "grpc", intervalMs: 5_000, timeoutMs: 6_000 }],
        idleTimeoutMs: 0,
        wakeTimeoutMs: 601_000,
      },
    ]);

    expect(problems).toEqual({
      "services[0].ports[0].port": "is required, or start_port and end_port",
      "services[0].ports[1].handlers[0]": 'must be one of http, tls, pg_tls, proxy_proto, not "http2"',
      "services[0].autostop": 'must be off, stop, suspend, not "maybe"',
      "services[0].min_machines_running": "must be 0 to 1000, not -1",
      "services[0].concurrency.type": 'must be connections or requests, not "bytes"',
      "services[0].concurrency.soft_limit": "must be at most hard_limit, 20, not 30",
      "services[0].checks[0].type": 'must be tcp or http, not "grpc"',
      "services[0].checks[0].timeout":
        "must be at most the interval, 5 s: shorten it, or lengthen the interval",
      "services[0].idle_timeout": "must be 1 s to 24 h, not 0 s",
      "services[0].wake_timeout": "must be 1 s to 10 min, not 601 s",
    });
  });

  test.each<[string, ServiceSettings, string]>([
    ["handlers", { ports: [{ port: 53, handlers: ["tls"] }] }, "services[0].ports[0].handlers"],
    ["stops for being idle", { autostop: "stop" }, "services[0].autostop"],
    ["a check without a port", { checks: [{}] }, "services[0].checks[0].port"],
  ])("of UDP have no %s", (_, settings, field) => {
    expect(fieldsOf(settings, "udp")).toEqual([field]);
  });

  test("have at most 16 ports and 8 checks each", () => {
    const ports = Array.from({ length: 17 }, (_, i) => ({ port: i + 1 }));
    const checks = Array.from({ length: 9 }, () => ({}));

    expect(fieldsOf({ ports, checks })).toEqual(["services[0].ports", "services[0].checks"]);
  });
});

describe("ports of proxies", () => {
  test.each<[string, PortSettings, string]>([
    ["a port and a range", { port: 1, startPort: 1, endPort: 2 }, "services[0].ports[0]"],
    ["no end of a range", { startPort: 1 }, "services[0].ports[0].end_port"],
    ["no start of a range", { endPort: 1 }, "services[0].ports[0].start_port"],
    ["a range that runs backwards", { startPort: 2, endPort: 1 }, "services[0].ports[0].end_port"],
    ["a number that is no port", { port: 65_536 }, "services[0].ports[0].port"],
    ["a negative number", { startPort: -1, endPort: 5 }, "services[0].ports[0].start_port"],
    ["a handler twice", { port: 1, handlers: ["tls", "tls"] }, "services[0].ports[0].handlers[1]"],
    ["two kinds of TLS", { port: 1, handlers: ["tls", "pg_tls"] }, "services[0].ports[0].handlers"],
    ["HTTP inside Postgres", { port: 1, handlers: ["pg_tls", "http"] }, "services[0].ports[0].handlers"],
    [
      "the PROXY protocol before requests",
      { port: 1, handlers: ["http", "proxy_proto"] },
      "services[0].ports[0].handlers",
    ],
    ["a redirect without HTTP", { port: 1, forceHttps: true }, "services[0].ports[0].force_https"],
    ["options of TLS without it", { port: 1, tls: {} }, "services[0].ports[0].tls_options"],
    [
      "options of HTTP without it",
      { port: 1, handlers: ["tls"], http: {} },
      "services[0].ports[0].http_options",
    ],
    [
      "options of the PROXY protocol without it",
      { port: 1, proxyProto: {} },
      "services[0].ports[0].proxy_proto_options",
    ],
    [
      "an unknown protocol of TLS",
      { port: 1, handlers: ["tls"], tls: { alpn: ["h2", "spdy"] } },
      "services[0].ports[0].tls_options.alpn[1]",
    ],
    [
      "an old version of TLS",
      { port: 1, handlers: ["tls"], tls: { versions: ["TLSv1.0"] } },
      "services[0].ports[0].tls_options.versions[0]",
    ],
    [
      "an unknown version of the PROXY protocol",
      { port: 1, handlers: ["proxy_proto"], proxyProto: { version: "v3" } },
      "services[0].ports[0].proxy_proto_options.version",
    ],
    [
      "too short a time",
      { port: 1, handlers: ["http"], http: { idleTimeoutMs: 999 } },
      "services[0].ports[0].http_options.idle_timeout",
    ],
    [
      "too long a time for headers",
      { port: 1, handlers: ["http"], http: { headersReadTimeoutMs: 60_001 } },
      "services[0].ports[0].http_options.headers_read_timeout",
    ],
  ])("may not have %s", (_, port, field) => {
    expect(portFieldsOf(port)).toEqual([field]);
  });

  test.each([
    ["a header that ends messages", { "Transfer-Encoding": "chunked" }, "Transfer-Encoding"],
    ["a second header in a value", { "x-a": "b\r\nset-cookie: c=d" }, "x-a"],
    ["a name that is no token", { "x a": "" }, "x a"],
    ["one name in two cases", { "X-A": "1", "x-a": "2" }, "x-a"],
  ])("add no %s", (_, responseHeaders, name) => {
    expect(portFieldsOf({ port: 1, handlers: ["http"], http: { responseHeaders } })).toEqual([
      `services[0].ports[0].http_options.response_headers[${name}]`,
    ]);
  });

  it("lead to one service each, of one protocol", () => {
    const problems = problemsOf([
      { ...WEB, ports: [{ startPort: 8000, endPort: 8010 }, { port: 8005 }] },
      { protocol: "tcp", internalPort: 1, ports: [{ startPort: 7000, endPort: 8000 }] },
      { protocol: "udp", internalPort: 1, ports: [{ port: 8000 }] },
    ]);

    expect(problems).toEqual({
      "services[0].ports[1]": "config.services[0].ports[0] has port 8005/tcp already: each once",
      "services[1].ports[0]": "config.services[0].ports[0] has port 8000/tcp already: each once",
    });
  });
});

describe("checks", () => {
  test.each<[string, CheckSettings, string[]]>([
    ["that only inform", { kind: "informational" }, ["kind"]],
    ["at what is no port", { port: 65_536 }, ["port"]],
    ["too often", { intervalMs: 999, timeoutMs: 500 }, ["interval"]],
    ["with less time than a connection takes", { timeoutMs: 99 }, ["timeout"]],
    ["with more time than an interval of 15 s", { timeoutMs: 16_000 }, ["timeout"]],
    ["with more than 60 s", { intervalMs: HOUR_MS, timeoutMs: 60_001 }, ["timeout"]],
    ["with a negative grace", { gracePeriodMs: -1 }, ["grace_period"]],
    ["of TCP with members of HTTP", { path: "/", status: 200 }, ["path", "status"]],
    ["with two lines in the method", { type: "http", method: "GET /\r\n" }, ["method"]],
    ["with a method for proxies", { type: "http", method: "connect" }, ["method"]],
    ["with a relative path", { type: "http", path: "health" }, ["path"]],
    ["with a space in the path", { type: "http", path: "/ HTTP/1.1" }, ["path"]],
    ["with a line break in the path", { type: "http", path: "/\r\nhost: x" }, ["path"]],
    ["for a status that ends nothing", { type: "http", status: 100 }, ["status"]],
    ["for too long a body", { type: "http", body: "x".repeat(1_025) }, ["body"]],
    ["for half a character", { type: "http", body: "\ud800" }, ["body"]],
    ["of another protocol", { type: "http", protocol: "ftp" }, ["protocol"]],
    ["of nobody's certificate", { type: "http", protocol: "https" }, ["tls_server_name"]],
    ["of a certificate without TLS", { type: "http", tlsSkipVerify: true }, ["tls_skip_verify"]],
    [
      "of an address's certificate",
      { type: "http", protocol: "https", tlsServerName: "10.0.0.1" },
      ["tls_server_name"],
    ],
    [
      "with a header that ends messages, and one with a line break",
      {
        type: "http",
        headers: [
          { name: "content-length", values: ["1"] },
          { name: "x", values: ["a", "b\nc"] },
          { name: "y", values: [] },
        ],
      },
      ["headers[0].name", "headers[1].values[1]", "headers[2].values"],
    ],
  ])("%s are refused", (_, settings, fields) => {
    expect(checkFieldsOf(settings)).toEqual(fields.map((field) => `services[0].checks[0].${field}`));
  });

  test("of the machine have a port, a kind and a name of their own", () => {
    const checks = {
      "": { port: 1 },
      "servicecheck-00-tcp-80": { port: 1 },
      a: {},
      b: { kind: "liveness", port: 1 },
      c: { kind: "informational", port: 80 },
    };

    expect(Object.keys(problemsOf([], { checks }))).toEqual([
      "checks[]",
      "checks[servicecheck-00-tcp-80]",
      "checks[a].port",
      "checks[b].kind",
    ]);
  });
});

test.each<[LifeSettings, string[]]>([
  [{ snapshot: "ready", maxLifetimeMs: 0, maxBusyMs: 0 }, []],
  [{ snapshot: "off", maxLifetimeMs: 365 * 24 * HOUR_MS, maxBusyMs: 24 * HOUR_MS }, []],
  [{ snapshot: "always" }, ["snapshot"]],
  [{ maxLifetimeMs: 999 }, ["max_lifetime"]],
  [{ maxLifetimeMs: 366 * 24 * HOUR_MS, maxBusyMs: 25 * HOUR_MS }, ["max_lifetime", "max_busy"]],
])("a machine with %j has the wrong fields %j", (life, fields) => {
  expect(Object.keys(problemsOf([], life))).toEqual(fields);
});
