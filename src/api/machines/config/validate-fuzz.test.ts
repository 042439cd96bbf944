import fc from "fast-check";
import { expect, test } from "vitest";
import { Violations } from "../../../lib/faults/violations.ts";
import type {
  CheckSettings,
  LifeSettings,
  PortSettings,
  ServiceSettings,
} from "../../../lib/service-config/service-config.ts";
import { validateConfig } from "./validate-config.ts";
import { checkLife, validServices } from "./validate-services.ts";

const text = fc.string({ unit: "binary", maxLength: 30 });
const number = fc.oneof(fc.integer(), fc.double());
const record = <T>(shape: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(shape, { requiredKeys: [] });
const checkSettings = record<CheckSettings>({
  ...{ type: fc.oneof(fc.constantFrom("tcp", "http"), text), kind: text, port: number, intervalMs: number },
  ...{ timeoutMs: number, gracePeriodMs: number, method: text, path: text, protocol: text },
  ...{ tlsServerName: text, tlsSkipVerify: fc.boolean(), status: number, body: text },
  headers: fc.array(fc.record({ name: text, values: fc.array(text) })),
});
const portSettings = record<PortSettings>({
  ...{ port: number, startPort: number, endPort: number, forceHttps: fc.boolean() },
  handlers: fc.array(fc.oneof(fc.constantFrom("tls", "http", "pg_tls"), text)),
  tls: record({ alpn: fc.array(text), versions: fc.array(text) }),
  http: record({ idleTimeoutMs: number, responseHeaders: fc.dictionary(text, text) }),
  proxyProto: record({ version: text }),
});
const services = fc.array(
  fc.tuple(
    fc.record({ protocol: fc.oneof(fc.constantFrom("tcp", "udp"), text), internalPort: number }),
    record<ServiceSettings>({
      ...{ autostart: fc.boolean(), autostop: text, minMachinesRunning: number, idleTimeoutMs: number },
      concurrency: record({ type: text, softLimit: number, hardLimit: number }),
      ports: fc.array(portSettings),
      checks: fc.array(checkSettings),
    }),
  ),
  { maxLength: 3 },
);

test("whatever is in a configuration, the check itself never fails", () => {
  const text = fc.string({ unit: "binary", maxLength: 50 });
  const input = fc.record({
    image: text,
    guest: fc.option(fc.record({ cpuKind: text, cpus: fc.integer(), memoryMb: fc.integer() }), {
      nil: undefined,
    }),
    env: fc.dictionary(text, text),
    init: fc.option(
      fc.record({
        exec: fc.array(text),
        entrypoint: fc.array(text),
        cmd: fc.array(text),
        user: text,
        workingDir: text,
      }),
      { nil: undefined },
    ),
    services: fc.array(fc.record({ protocol: text, internalPort: fc.integer() })),
    stop: fc.option(fc.record({ signal: text, timeoutMs: fc.option(fc.double(), { nil: undefined }) }), {
      nil: undefined,
    }),
    metadata: fc.dictionary(text, text),
    restart: fc.option(fc.record({ policy: text, maxRetries: fc.integer() }), { nil: undefined }),
    schedule: text,
    files: fc.array(fc.record({ guestPath: text, content: fc.base64String(), mode: fc.integer() })),
    dns: fc.option(
      fc.record({
        nameservers: fc.array(text),
        searches: fc.array(text),
        options: fc.array(text),
        hostname: text,
      }),
      { nil: undefined },
    ),
    extra: fc.option(fc.dictionary(text, fc.anything()), { nil: undefined }),
  });

  fc.assert(
    fc.property(input, (config) => {
      const violations = new Violations();
      validateConfig(config, () => undefined, violations);
      expect(
        violations.all.every((problem) => problem.field.startsWith("config.") && problem.description !== ""),
      ).toBe(true);
    }),
  );
});

test("whatever is in services and checks, the check itself never fails", () => {
  const life = record<LifeSettings>({
    ...{ snapshot: text, maxLifetimeMs: number, maxBusyMs: number },
    checks: fc.dictionary(text, checkSettings),
  });

  fc.assert(
    fc.property(services, life, (each, more) => {
      const problems: (readonly [field: string, description: string])[] = [];
      const check = (holds: boolean, ...problem: [field: string, description: string]) => {
        if (!holds) problems.push(problem);
      };
      validServices(
        each.map(([service, settings]) => ({ ...service, ...settings })),
        check,
      );
      checkLife(more, check);

      for (const [field, description] of problems) {
        expect(field).toMatch(/^(services|checks|snapshot|max_)/);
        expect(description).toMatch(/^[\x20-\x7e]+$/);
      }
    }),
  );
});
