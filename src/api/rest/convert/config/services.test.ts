import { describe, expect, test } from "vitest";
import { ServiceConfig } from "../../../../gen/windhover/machines/v1/machine.ts";
import { configFromJson, configToJson } from "./convert-config.ts";

describe("several services of one port", () => {
  const SERVICES = [
    { protocol: "tcp", internal_port: 80, ports: [{ port: 80 }] },
    { protocol: "tcp", internal_port: 80, ports: [{ port: 443, handlers: ["tls"] }], x: 1 },
    { protocol: "udp", internal_port: 80, ports: [{ port: 80 }] },
  ];

  test("come back as they were sent, and the port is published once", () => {
    const config = configFromJson({ image: "nginx", services: SERVICES });

    expect(config.services).toEqual([
      ServiceConfig.fromPartial({ protocol: "tcp", internalPort: 80 }),
      ServiceConfig.fromPartial({ protocol: "udp", internalPort: 80 }),
    ]);
    expect(configToJson(config)["services"]).toEqual(SERVICES);
  });

  test("leave what is kept of each other service at its index", () => {
    const { extra } = configFromJson({ image: "nginx", services: SERVICES });

    expect(extra?.["services"]).toEqual([{ ports: [{ port: 80 }] }, { ports: [{ port: 80 }] }]);
  });

  test("are told as gRPC changed them", () => {
    const config = configFromJson({ image: "nginx", services: SERVICES });
    const [tcp, udp] = config.services;
    const other = ServiceConfig.fromPartial({ protocol: "tcp", internalPort: 81 });
    const services = (changed: typeof config.services) =>
      configToJson({ ...config, services: changed })["services"];

    expect(services([...(tcp && udp ? [tcp, udp] : []), other])).toEqual([
      ...SERVICES,
      { protocol: "tcp", internal_port: 81 },
    ]);
    expect(services([ServiceConfig.fromPartial({ protocol: "udp", internalPort: 81 })])).toEqual([
      { protocol: "udp", internal_port: 81, ports: [{ port: 80 }] },
    ]);
  });

  test("are not made of what else a client keeps under their name", () => {
    const services = [{ protocol: "tcp", internal_port: 80 }];
    const kept = [
      null,
      { at: 0 },
      { at: "0", service: {} },
      { at: 0, service: { protocol: { toString: 1 } } },
    ];

    const config = configFromJson({ image: "nginx", services, repeated_services: kept });

    expect(configToJson(config)["services"]).toEqual(services);
  });
});
