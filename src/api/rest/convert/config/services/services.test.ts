import { describe, expect, test } from "vitest";
import {
  MachineConfig,
  PortConfig,
  ServiceConfig,
} from "../../../../../gen/windhover/machines/v1/machine.ts";
import { configFromJson, configToJson } from "../convert-config.ts";

describe("several services of one port", () => {
  const SERVICES = [
    { protocol: "tcp", internal_port: 80, ports: [{ port: 80 }] },
    { protocol: "tcp", internal_port: 80, ports: [{ port: 443, handlers: ["tls"] }], x: 1 },
    { protocol: "udp", internal_port: 80, ports: [{ port: 80 }] },
  ];

  test("come back as they were sent, and are one service with the ports of all", () => {
    const config = configFromJson({ image: "nginx", services: SERVICES });

    expect(config.services).toEqual([
      ServiceConfig.fromPartial({
        ...{ protocol: "tcp", internalPort: 80 },
        ports: [{ port: 80 }, { port: 443, handlers: ["tls"] }],
      }),
      ServiceConfig.fromPartial({ protocol: "udp", internalPort: 80, ports: [{ port: 80 }] }),
    ]);
    expect(configToJson(config)["services"]).toEqual(SERVICES);
  });

  test("leave what is kept of each other service at its index", () => {
    const services = SERVICES.map((service, i) => ({ ...service, y: i }));
    const { extra } = configFromJson({ image: "nginx", services });

    expect(extra?.["services"]).toEqual([{ y: 0 }, { y: 2 }]);
    expect(extra?.["repeated_services"]).toEqual([
      { at: 1, service: { protocol: "tcp", internal_port: 80, x: 1, y: 1 }, ports: ["443-443"] },
    ]);
  });

  test("are told with the ports that gRPC left and added, each at its place", () => {
    const more = [...SERVICES, { protocol: "tcp", internal_port: 80, ports: [{ port: 81 }, { port: 82 }] }];
    const config = configFromJson({ image: "nginx", services: more });
    const [tcp = ServiceConfig.create(), ...others] = config.services;
    const ports = [443, 82, 90].map((port) => PortConfig.fromPartial({ port, handlers: ["http"] }));

    expect(configToJson({ ...config, services: [{ ...tcp, ports }, ...others] })["services"]).toEqual([
      { protocol: "tcp", internal_port: 80, ports: [{ port: 90, handlers: ["http"] }] },
      { protocol: "tcp", internal_port: 80, ports: [{ port: 443, handlers: ["http"] }], x: 1 },
      { protocol: "udp", internal_port: 80, ports: [{ port: 80 }] },
      { protocol: "tcp", internal_port: 80, ports: [{ port: 82, handlers: ["http"] }] },
    ]);
  });

  test("that were stored whole before ports had fields come back as they were", () => {
    const typed = [
      { protocol: "tcp", internalPort: 80 },
      { protocol: "udp", internalPort: 80 },
    ];
    const extra = {
      services: [{ ports: [{ port: 80 }], autostop: true, checks: [{ type: "tcp" }] }, {}],
      repeated_services: [{ at: 1, service: { protocol: "tcp", internal_port: 80, ports: [{ port: 443 }] } }],
    };
    const stored = MachineConfig.fromPartial({ image: "nginx", services: typed });

    const json = configToJson({ ...stored, extra });
    const moved = configFromJson(json);

    expect(json["services"]).toEqual([
      { protocol: "tcp", internal_port: 80, ...extra.services[0] },
      { protocol: "tcp", internal_port: 80, ports: [{ port: 443 }] },
      { protocol: "udp", internal_port: 80 },
    ]);
    expect(moved.services[0]).toEqual(
      ServiceConfig.fromPartial({
        ...{ protocol: "tcp", internalPort: 80, autostop: "stop", checks: [{ type: "tcp" }] },
        ports: [{ port: 80 }, { port: 443 }],
      }),
    );
    expect(moved.extra?.["services"]).toBeUndefined();
    expect(configToJson(moved)["services"]).toEqual(json["services"]);
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
      { protocol: "udp", internal_port: 81 },
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
