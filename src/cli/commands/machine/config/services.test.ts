import { describe, expect, test } from "vitest";
import { type MachineConfig, ServiceConfig } from "../../../../gen/windhover/machines/v1/machine.ts";
import { port } from "../../port-flag.ts";
import { withServices } from "./services.ts";

type Services = Pick<MachineConfig, "services" | "extra">;

const service = ServiceConfig.fromPartial;

function ports(...raw: string[]) {
  return { port: raw.flatMap((one) => port(one)) };
}

const WEB = { protocol: "tcp", internalPort: 80, autostop: "stop" };
const DNS = { protocol: "udp", internalPort: 53 };
/** REST has kept an option of the second port, and a member of the service. */
const BASE: Services = {
  services: [service({ ...WEB, ports: [{ port: 443 }, { port: 8443, handlers: ["tls"] }] }), service(DNS)],
  extra: {
    metrics: { port: 1 },
    services: [{ x: 1, ports: [{}, { http_options: { compress: true } }] }, {}],
  },
};

describe("ports of flags", () => {
  test("become services with ports of proxies", () => {
    expect(withServices(undefined, ports("443:80/tcp:tls:http", "53/udp", "8000-8010:90"))).toEqual({
      services: [
        service({ protocol: "tcp", internalPort: 80, ports: [{ port: 443, handlers: ["tls", "http"] }] }),
        service({ protocol: "udp", internalPort: 53, ports: [{ port: 53 }] }),
        service({ protocol: "tcp", internalPort: 90, ports: [{ startPort: 8000, endPort: 8010 }] }),
      ],
      extra: undefined,
    });
  });

  test("of one service are one service, and replace the same port", () => {
    expect(
      withServices(undefined, ports("80:8080/tcp:http", "443:8080/tcp:tls", "80:8080")).services,
    ).toEqual([
      service({
        ...{ protocol: "tcp", internalPort: 8080 },
        ports: [{ port: 443, handlers: ["tls"] }, { port: 80 }],
      }),
    ]);
  });

  test("leave what else a configuration has, each at the index of its service and port", () => {
    expect(withServices(BASE, ports("9090", "443:80/tcp:http"))).toEqual({
      services: [
        service({
          ...WEB,
          ports: [
            { port: 8443, handlers: ["tls"] },
            { port: 443, handlers: ["http"] },
          ],
        }),
        service(DNS),
        service({ protocol: "tcp", internalPort: 9090, ports: [{ port: 9090 }] }),
      ],
      extra: {
        metrics: { port: 1 },
        services: [{ x: 1, ports: [{ http_options: { compress: true } }, {}] }, {}, {}],
      },
    });
  });

  test("are removed one by one, and the service with the last", () => {
    const one = withServices(BASE, ports("8443/tcp:-"));
    const both = withServices(BASE, ports("443:80/tcp:-", "8443/tcp:-"));
    const udp = withServices(BASE, ports("53/udp:-"));

    expect(one.services[0]).toEqual(service({ ...WEB, ports: [{ port: 443 }] }));
    expect(one.extra?.["services"]).toEqual([{ x: 1 }, {}]);
    expect(both).toEqual({ services: [service(DNS)], extra: { metrics: { port: 1 } } });
    expect(udp.services).toEqual([BASE.services[0]]);
  });

  test("that are not there cannot be removed", () => {
    expect(() => withServices(BASE, ports("81/tcp:-"))).toThrow("There is no port 81/tcp to remove.");
  });
});

describe("a service that was stored before it had ports of its own", () => {
  const kept = {
    ports: [{ port: 443, http_options: { compress: true, idle_timeout: 5 } }],
    ...{ autostop: true, checks: [{ interval: 15e9 }], x: 1 },
  };
  const stored = { services: [service({ protocol: "tcp", internalPort: 80 })], extra: { services: [kept] } };

  test("is read from what was kept, and what has no field is kept on", () => {
    expect(withServices(stored, { autostart: "true" })).toEqual({
      services: [
        service({
          ...WEB,
          autostart: true,
          ports: [{ port: 443, httpOptions: { idleTimeout: { seconds: 5, nanos: 0 } } }],
          checks: [{ interval: { seconds: 15, nanos: 0 } }],
        }),
      ],
      extra: { services: [{ x: 1, ports: [{ http_options: { compress: true } }] }] },
    });
  });

  test("is left alone when it cannot be read", () => {
    const odd = { ...stored, extra: { services: [{ ports: "many" }] } };

    expect(withServices(odd, { autostop: "off" })).toEqual({
      services: [service({ protocol: "tcp", internalPort: 80, autostop: "off" })],
      extra: odd.extra,
    });
  });
});

describe("autostart and autostop", () => {
  test("are of every TCP service", () => {
    const { services } = withServices(undefined, {
      ...ports("80", "53/udp", "90"),
      autostart: "true",
      autostop: "suspend",
    });

    expect(services.map(({ autostart, autostop }) => ({ autostart, autostop }))).toEqual([
      { autostart: true, autostop: "suspend" },
      { autostart: undefined, autostop: "" },
      { autostart: true, autostop: "suspend" },
    ]);
  });

  test.each([{}, ports("53/udp")])("need a TCP service, which %j is not", (flags) => {
    expect(() => withServices(undefined, { ...flags, autostop: "stop" })).toThrow(/add -p PORT/);
  });
});

test("a configuration without any of these is left alone", () => {
  expect(withServices(BASE, {})).toEqual(BASE);
  expect(withServices({ services: [], extra: undefined }, {})).toEqual({ services: [], extra: undefined });
});
