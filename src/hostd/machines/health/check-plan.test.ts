import { expect, test } from "vitest";
import { machineIn } from "../../../../test/support/hostd/machine-builder.ts";
import { planChecks, portsOfChecks } from "./check-plan.ts";

const CONFIG = machineIn("started").spec.config;
const ports = [{ port: 443 }];

test("the checks of services are counted over all of them, and named by type and port", () => {
  const services = [
    { protocol: "tcp", internalPort: 80, ports, checks: [{ type: "http" }, { port: 9 }] },
    { protocol: "tcp", internalPort: 81, ports, checks: [{}] },
  ] as const;
  const names = planChecks({ ...CONFIG, services }).map(({ name, port }) => [name, port]);
  expect(names).toEqual([
    ["servicecheck-00-http-80", 80],
    ["servicecheck-01-tcp-9", 9],
    ["servicecheck-02-tcp-81", 81],
  ]);
});

test("only a TCP service with ports of proxies and without checks is checked for a listener", () => {
  const services = [
    { protocol: "tcp", internalPort: 80, ports },
    { protocol: "tcp", internalPort: 81 },
    { protocol: "udp", internalPort: 82, ports },
  ] as const;
  expect(planChecks({ ...CONFIG, services })).toMatchObject([{ name: "listen-80", isReadiness: true }]);
});

test("a check by name keeps requests away only when it is one of readiness", () => {
  const checks = { b: { port: 7, kind: "readiness" }, a: { port: 8 }, c: { port: 7, kind: "informational" } };
  const plan = planChecks({ ...CONFIG, checks });
  expect(plan.map(({ name, isReadiness }) => [name, isReadiness])).toEqual([
    ["a", false],
    ["b", true],
    ["c", false],
  ]);
  expect(portsOfChecks(plan)).toEqual([8, 7]);
});

test("defaults are those of the contract", () => {
  const [plan] = planChecks({ ...CONFIG, checks: { a: { type: "http", port: 80 } } });
  expect(plan).toMatchObject({ intervalMs: 15_000, timeoutMs: 10_000, graceMs: 10_000 });
  expect(plan?.http).toMatchObject({ method: "GET", path: "/", isTls: false, status: 0, body: "" });
});
