import { expect, test } from "vitest";
import { ServiceConfig } from "../../../gen/windhover/machines/v1/machine.ts";
import { serviceTable } from "./service-text.ts";

const SERVICES = [
  ServiceConfig.fromPartial({
    ...{ protocol: "tcp", internalPort: 8080, autostart: true, autostop: "suspend", minMachinesRunning: 2 },
    ports: [
      { port: 80, handlers: ["http"] },
      { port: 443, handlers: ["tls", "http"] },
      { startPort: 8000, endPort: 8010 },
    ],
    concurrency: { type: "requests", softLimit: 20, hardLimit: 25 },
    checks: [{ type: "http", path: "/up" }, { port: 9090 }],
  }),
  ServiceConfig.fromPartial({ protocol: "udp", internalPort: 53, concurrency: { hardLimit: 5 } }),
  ServiceConfig.fromPartial({ internalPort: 22, concurrency: {} }),
];

test("services are told in lines that people can read", () => {
  const cells = serviceTable(SERVICES, undefined).map((line) => line.split(/ {2,}/));

  expect(cells).toEqual([
    ["SERVICE", "PORTS", "AUTOSTART", "AUTOSTOP", "LIMITS", "CHECKS"],
    [
      ...["8080/tcp", "80 http, 443 tls+http, 8000-8010", "yes", "suspend, keeps 2"],
      ...["20 to 25 requests", "http GET /up, tcp 9090"],
    ],
    ["53/udp", "-", "no", "off", "to 5 connections", "-"],
    ["22/tcp", "-", "no", "off", "-", "-"],
  ]);
});

test("on a narrow screen what matters less is left out", () => {
  const [titles] = serviceTable(SERVICES, 60);

  expect(titles).toMatch(/^SERVICE +PORTS +AUTOSTART +AUTOSTOP/);
  expect(titles).not.toContain("CHECKS");
});
