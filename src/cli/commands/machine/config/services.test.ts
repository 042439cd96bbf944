import { describe, expect, test } from "vitest";
import { type MachineConfig, ServiceConfig } from "../../../../gen/windhover/machines/v1/machine.ts";
import { port } from "../../port-flag.ts";
import { withServices } from "./services.ts";

type Services = Pick<MachineConfig, "services" | "extra">;

function ports(...raw: string[]) {
  return { port: raw.flatMap((one) => port(one)) };
}

const BESIDE = [{ ports: [{ port: 443 }, { port: 8443 }], concurrency: { type: "x" } }, {}];
const BASE: Services = {
  services: [
    ServiceConfig.fromPartial({ protocol: "tcp", internalPort: 80 }),
    ServiceConfig.fromPartial({ protocol: "udp", internalPort: 53 }),
  ],
  extra: { checks: { a: 1 }, services: BESIDE },
};

describe("ports of flags", () => {
  test("become services, and public ports in Fly's shape at the index of each", () => {
    expect(withServices(undefined, ports("443:80/tcp:tls:http", "53/udp", "8000-8010:90"))).toEqual({
      services: [
        ServiceConfig.fromPartial({ protocol: "tcp", internalPort: 80 }),
        ServiceConfig.fromPartial({ protocol: "udp", internalPort: 53 }),
        ServiceConfig.fromPartial({ protocol: "tcp", internalPort: 90 }),
      ],
      extra: {
        services: [
          { ports: [{ port: 443, handlers: ["tls", "http"] }] },
          { ports: [{ port: 53 }] },
          { ports: [{ start_port: 8000, end_port: 8010 }] },
        ],
      },
    });
  });

  test("of one service are one service", () => {
    expect(withServices(undefined, ports("80:8080/tcp:http", "443:8080/tcp:tls", "80:8080"))).toEqual({
      services: [ServiceConfig.fromPartial({ protocol: "tcp", internalPort: 8080 })],
      extra: { services: [{ ports: [{ port: 443, handlers: ["tls"] }, { port: 80 }] }] },
    });
  });

  test("leave what else a configuration has", () => {
    expect(withServices(BASE, ports("9090"))).toEqual({
      services: [...BASE.services, ServiceConfig.fromPartial({ protocol: "tcp", internalPort: 9090 })],
      extra: {
        checks: { a: 1 },
        services: [...BESIDE, { ports: [{ port: 9090 }] }],
      },
    });
  });

  test("are removed one by one, and the service with the last", () => {
    const one = withServices(BASE, ports("443/tcp:-"));
    const both = withServices(BASE, ports("443:80/tcp:-", "8443/tcp:-"));
    const udp = withServices(BASE, ports("53/udp:-"));

    expect(one.extra?.["services"]).toEqual([{ ports: [{ port: 8443 }], concurrency: { type: "x" } }, {}]);
    expect(both).toEqual({
      services: [ServiceConfig.fromPartial({ protocol: "udp", internalPort: 53 })],
      extra: { checks: { a: 1 } },
    });
    expect(udp.services).toEqual([ServiceConfig.fromPartial({ protocol: "tcp", internalPort: 80 })]);
  });

  test("that are not there cannot be removed", () => {
    expect(() => withServices(BASE, ports("81/tcp:-"))).toThrow("There is no port 81/tcp to remove.");
  });
});

describe("autostart and autostop", () => {
  test("are kept with every service", () => {
    const { extra } = withServices(undefined, {
      ...ports("80", "90"),
      autostart: "true",
      autostop: "suspend",
    });
    expect(extra?.["services"]).toMatchObject([
      { autostart: true, autostop: "suspend" },
      { autostart: true, autostop: "suspend" },
    ]);
  });

  test("need a service", () => {
    expect(() => withServices(undefined, { autostop: "stop" })).toThrow(/add -p PORT/);
  });
});

test("a configuration without any of these is left alone", () => {
  expect(withServices(BASE, {})).toEqual(BASE);
  expect(withServices({ services: [], extra: undefined }, {})).toEqual({ services: [], extra: undefined });
});
