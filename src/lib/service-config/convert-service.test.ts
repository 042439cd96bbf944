import fc from "fast-check";
import { expect, test } from "vitest";
import { MachineConfig, ServiceConfig } from "../../gen/windhover/machines/v1/machine.ts";
import { lifeFromProto, lifeToProto } from "./convert-check.ts";
import { serviceSettingsFromProto, serviceToProto } from "./convert-service.ts";
import type { ServiceSettings } from "./service-config.ts";

const text = fc.constantFrom("", "a", "__proto__");
const number = fc.constantFrom(0, 1, 65_535);
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const duration = optional(
  fc.record({ seconds: fc.constantFrom(0n, 1n, 31_536_000n), nanos: fc.constantFrom(0, 500_000_000) }),
);
const words = fc.array(text, { maxLength: 2 });
const check = fc.record({
  ...{ type: text, kind: text, port: number, interval: duration, timeout: duration, gracePeriod: duration },
  ...{ method: text, path: text, protocol: text, tlsServerName: text, tlsSkipVerify: fc.boolean() },
  ...{ status: number, body: text, headers: fc.array(fc.record({ name: text, values: words })) },
});
const http = fc.record({
  ...{ h2Backend: fc.boolean(), idleTimeout: duration, headersReadTimeout: duration },
  responseHeaders: fc.array(fc.tuple(text, text)).map((entries) => new Map(entries)),
  pristineResponse: fc.boolean(),
});
const port = fc.record({
  ...{ port: number, startPort: number, endPort: number, handlers: words, forceHttps: fc.boolean() },
  tlsOptions: optional(fc.record({ alpn: words, versions: words, defaultSelfSigned: fc.boolean() })),
  httpOptions: optional(http),
  proxyProtoOptions: optional(fc.record({ version: text })),
});
const service = fc.record({
  ...{ protocol: text, internalPort: number, ports: fc.array(port), autostart: optional(fc.boolean()) },
  ...{ autostop: text, minMachinesRunning: number, checks: fc.array(check) },
  concurrency: optional(fc.record({ type: text, softLimit: number, hardLimit: number })),
  ...{ idleTimeout: duration, wakeTimeout: duration },
});

test("a service is the same when it has been stored as JSON and converted back", () => {
  fc.assert(
    fc.property(service, (sent) => {
      const { protocol, internalPort } = sent;
      const stored: ServiceSettings = JSON.parse(JSON.stringify(serviceSettingsFromProto(sent)));

      expect(serviceToProto({ protocol, internalPort, ...stored })).toEqual(sent);
    }),
  );
});

test("checks of a machine, its snapshot and its times are the same when converted back", () => {
  const life = fc.record({
    checks: fc.array(fc.tuple(text, check)).map((entries) => new Map(entries)),
    ...{ snapshot: text, maxLifetime: duration, maxBusy: duration },
  });

  fc.assert(
    fc.property(life, (sent) => {
      expect(lifeToProto(lifeFromProto({ ...MachineConfig.create(), ...sent }))).toEqual(sent);
    }),
  );
});

test("what is absent is stored as nothing, and zero where it means something else", () => {
  const absent = ServiceConfig.fromPartial({ ports: [{}], checks: [{}], concurrency: {} });
  const zero = { seconds: 0n, nanos: 0 };

  expect(serviceSettingsFromProto(absent)).toEqual({ ports: [{}], checks: [{}], concurrency: {} });
  expect(serviceSettingsFromProto({ ...absent, autostart: false, idleTimeout: zero })).toMatchObject({
    autostart: false,
    idleTimeoutMs: 0,
  });
  expect(lifeFromProto(undefined)).toEqual({});
  expect(lifeFromProto({ ...MachineConfig.create(), maxBusy: zero })).toEqual({ maxBusyMs: 0 });
});

test("a machine that was stored without these members has none of them", () => {
  const service = serviceToProto({ protocol: "tcp", internalPort: 80 });

  expect(service).toEqual(ServiceConfig.fromPartial({ protocol: "tcp", internalPort: 80 }));
  expect(lifeToProto({})).toEqual({
    checks: new Map(),
    snapshot: "",
    maxLifetime: undefined,
    maxBusy: undefined,
  });
});
