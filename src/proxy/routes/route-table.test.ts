import { beforeEach, describe, expect, test } from "vitest";
import { machineRoute, routesOf, serviceRoute } from "../../../test/support/proxy/route-fixtures.ts";
import type { Handler } from "../../lib/service-config/defaults.ts";
import { RouteTable, type TableChange } from "./route-table.ts";
import type { RoutesChange, ServiceRoute } from "./routes.ts";

let table: RouteTable;
let changes: TableChange[] = [];

beforeEach(() => {
  table = new RouteTable(["localhost"]);
  changes = [];
  table.onChange((change) => changes.push(change));
});

function change(part: Partial<RoutesChange>): RoutesChange {
  return { position: "", apps: [], machines: [], hosts: [], goneApps: [], goneMachines: [], ...part };
}

/** A service that has a range of ports for itself. */
function raw(first: number, last: number): ServiceRoute {
  const service = serviceRoute();
  return { ...service, ports: service.ports.map((port) => ({ ...port, first, last, handlers: [] })) };
}

/** A service at a port that apps share by their host names. */
function named(port: number, ...handlers: readonly Handler[]): ServiceRoute {
  const service = serviceRoute();
  return { ...service, ports: service.ports.map((each) => ({ ...each, first: port, last: port, handlers })) };
}

describe("a port of an app", () => {
  test("leads to all its machines that have a service there, each with its own", () => {
    const other = serviceRoute({ internalPort: 9_090 });
    table.replace(
      routesOf(
        machineRoute("b", { services: [other], instanceId: "v2" }),
        machineRoute("a"),
        machineRoute("c", { services: [raw(5_432, 5_432)] }),
      ),
    );

    const pool = table.pool("web", 80);

    expect(pool?.members.map(({ machine, service }) => [machine.id, service.internalPort])).toEqual([
      ["a", 8_080],
      ["b", 9_090],
    ]);
    expect(pool?.target).toMatchObject({
      app: "web",
      org: "acme",
      port: 80,
      service: { internalPort: 9_090 },
    });
    expect(table.pool("web", 81)).toBeUndefined();
  });

  test("has headers of answers in UTF-8, byte by byte as Node writes them", () => {
    const service = serviceRoute();
    const ports = service.ports.map((port) => ({
      ...port,
      http: { ...port.http, responseHeaders: [["x-name", "ü €"] as const] },
    }));
    table.replace(routesOf(machineRoute("a", { services: [{ ...service, ports }] })));

    const value = table.pool("web", 80)?.target.service.http.responseHeaders.get("x-name") ?? "";

    expect(Buffer.from(value, "latin1").toString()).toBe("ü €");
  });

  test("of a range is the app's that had it first, until it has gone", () => {
    table.replace({
      ...routesOf(machineRoute("a", { app: "web", services: [raw(5_000, 5_010)] })),
      apps: ["web", "db"].map((name) => ({ name, org: "acme", hostnames: [] })),
    });
    expect(table.appOfPort(5_005)?.name).toBe("web");
    expect(table.appOfPort(5_011)).toBeUndefined();

    table.apply(change({ machines: [machineRoute("b", { app: "db", services: [raw(5_005, 5_005)] })] }));
    expect(table.appOfPort(5_005)?.name).toBe("web");

    table.apply(change({ goneMachines: ["a"] }));
    expect(table.appOfPort(5_005)?.name).toBe("db");
  });

  test("is kept by its app also over all routes anew, and over a restart of the proxy", () => {
    const web = machineRoute("b", { app: "web", services: [raw(5_000, 5_000)] });
    const apps = ["web", "db"].map((name) => ({ name, org: "acme", hostnames: [] }));
    table.replace({ ...routesOf(web), apps });
    table.claim([5_000, 5_001]);
    const all = { ...routesOf(machineRoute("a", { app: "db", services: [raw(5_000, 5_001)] }), web), apps };

    table.replace(all);
    const next = new RouteTable(["localhost"]);
    next.replace(table.dump());
    const fresh = new RouteTable(["localhost"]);
    fresh.replace(all);

    expect([table, next, fresh].map((each) => each.appOfPort(5_000)?.name)).toEqual(["web", "web", "db"]);
    expect(table.appOfPort(5_001)?.name).toBe("db");
  });

  test("with handlers for names is no app's own, also when one wants it later", () => {
    table.replace(routesOf(machineRoute("a"), machineRoute("b", { services: [named(9_000, "http")] })));
    expect([table.appOfPort(80), table.appOfPort(9_000)]).toEqual([undefined, undefined]);
    expect(table.namesAt(9_000)).toEqual({ tls: false, http: true });

    table.apply(
      change({
        apps: [{ name: "db", org: "other", hostnames: [] }],
        machines: [
          machineRoute("c", { app: "db", services: [raw(9_000, 9_000)] }),
          machineRoute("d", { services: [named(9_000, "tls", "http")] }),
        ],
      }),
    );
    expect(table.appOfPort(9_000)).toBeUndefined();
    expect(table.namesAt(9_000)).toEqual({ tls: true, http: true });

    table.apply(change({ goneMachines: ["b", "d"] }));
    expect([table.appOfPort(9_000)?.name, table.namesAt(9_000)]).toEqual(["db", undefined]);
  });
});

describe("a change", () => {
  test("that is older than what is known is left out", () => {
    table.replace(routesOf(machineRoute("a", { generation: 5, state: "started" })));

    table.apply(change({ machines: [machineRoute("a", { generation: 4 })], position: "2" }));

    expect([table.machine("a")?.state, table.position]).toEqual(["started", "2"]);
  });

  test("names what is different, also when all is replaced", () => {
    table.replace(routesOf(machineRoute("a")));
    table.replace({ ...routesOf(machineRoute("b")), apps: [] });

    expect(changes.map(({ machines }) => [...machines].sort())).toEqual([["a"], ["a", "b"]]);
    expect([table.app("web"), table.machine("a"), table.pool("web", 80)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test("takes an app and its names away, and brings them back", () => {
    const apps = [{ name: "web", org: "acme", hostnames: ["www.example.com"] }];
    table.replace({ ...routesOf(machineRoute("a")), apps });
    table.apply(change({ goneApps: ["web"] }));
    expect([table.appOfHostname("www.example.com"), table.appOfHostname("web.localhost")]).toEqual([
      undefined,
      undefined,
    ]);

    table.apply(change({ apps }));

    expect(table.appOfHostname("www.example.com")?.name).toBe("web");
    expect(table.pool("web", 80)?.members).toHaveLength(1);
  });
});
