import { expect, test } from "vitest";
import { MachineConfig } from "../../../../gen/windhover/machines/v1/machine.ts";
import { toJson } from "../../../render/json.ts";
import { parseConfig } from "./config-file.ts";

const S = (seconds: number) => ({ seconds: BigInt(seconds), nanos: 0 });
const CHECK = {
  ...{ type: "http", kind: "readiness", port: 80, interval: S(5), timeout: S(2), gracePeriod: S(0) },
  ...{ method: "GET", path: "/up", protocol: "https", tlsServerName: "a", tlsSkipVerify: true },
  ...{ headers: [{ name: "host", values: ["a", "b"] }], status: 204, body: "ok" },
};

test("what --json prints of services, checks and lifetimes can be used as a file", () => {
  const config = MachineConfig.fromPartial({
    image: "nginx",
    services: [
      {
        ...{
          protocol: "tcp",
          internalPort: 80,
          autostart: false,
          autostop: "suspend",
          minMachinesRunning: 2,
        },
        ports: [
          {
            ...{
              port: 443,
              handlers: ["tls", "http"],
              forceHttps: true,
              proxyProtoOptions: { version: "v2" },
            },
            tlsOptions: { alpn: ["h2"], versions: ["TLSv1.3"], defaultSelfSigned: true },
            httpOptions: {
              ...{ h2Backend: true, idleTimeout: S(9), headersReadTimeout: S(8), pristineResponse: true },
              responseHeaders: new Map([["via", ""]]),
            },
          },
          { startPort: 8000, endPort: 8010 },
        ],
        concurrency: { type: "requests", softLimit: 1, hardLimit: 2 },
        ...{ checks: [CHECK], idleTimeout: S(60), wakeTimeout: S(30) },
      },
    ],
    checks: new Map([["up", CHECK]]),
    ...{ snapshot: "ready", maxLifetime: S(86_400), maxBusy: S(0) },
  });

  const shown: unknown = JSON.parse(
    JSON.stringify(toJson(config)),
    (_, value: unknown) => value ?? undefined,
  );

  expect(shown).toMatchObject({ services: [{ checks: [{ status: 204, interval: "5s" }] }] });
  expect(parseConfig(shown, "a.json")).toEqual(config);
});

test("everything that is wrong with services and checks is told at once", () => {
  const services = [{ ports: [{ port: "80", handler: [] }], autostart: "yes" }];
  const checks = JSON.parse('{"__proto__":{},"up":{"interval":"soon","url":"/"}}');

  expect(() => parseConfig({ services, checks }, "a.json")).toThrow(
    /services\[0\]\.ports\[0\]\.handler: is not known.*services\[0\]\.autostart: must be true/s,
  );
  expect(() => parseConfig({ checks }, "a.json")).toThrow(/checks\.__proto__: is no name for a check/);
  expect(() => parseConfig({ checks: { up: checks.up } }, "a.json")).toThrow(
    /checks\.up\.interval: must be a length of time.*checks\.up\.url: is not known/s,
  );
});
