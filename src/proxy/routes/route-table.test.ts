import { beforeEach, describe, expect, test } from "vitest";
import { machineRoute, routesOf, serviceRoute } from "../../../test/support/proxy/route-fixtures.ts";
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

  test("of a range is the first app's by name, until it has gone", () => {
    table.replace({
      ...routesOf(machineRoute("a", { app: "web", services: [raw(5_000, 5_010)] })),
      apps: ["web", "db"].map((name) => ({ name, org: "acme", hostnames: [] })),
    });
    expect(table.appOfPort(5_005)?.name).toBe("web");
    expect(table.appOfPort(5_011)).toBeUndefined();

    table.apply(change({ machines: [machineRoute("b", { app: "db", services: [raw(5_005, 5_005)] })] }));
    expect(table.appOfPort(5_005)?.name).toBe("db");

    table.apply(change({ goneMachines: ["b"] }));
    expect(table.appOfPort(5_005)?.name).toBe("web");
  });

  test("with a handler for names is no app's own", () => {
    table.replace(routesOf(machineRoute("a")));
    expect(table.appOfPort(80)).toBeUndefined();
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
