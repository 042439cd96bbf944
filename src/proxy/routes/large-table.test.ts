import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { machineRoute, serviceRoute } from "../../../test/support/proxy/route-fixtures.ts";
import { RouteTable } from "./route-table.ts";
import type { MachineRoute, Routes } from "./routes.ts";

const APPS = 10_000;
const OF_APP = 10;
const LIMIT_MS = 120_000;
const SERVICES = [serviceRoute()];
const COMMON = machineRoute("");
let reads = 0;

/** A machine that counts who looks at its services. */
class CountedMachine implements MachineRoute {
  readonly id: string;
  readonly app: string;
  readonly region = "ord";
  readonly hostNumber = 1;
  readonly instanceId = "v1";
  readonly state = COMMON.state;
  readonly cordoned = false;
  readonly generation = 1;
  readonly processGroup = "";

  constructor(id: string, app: string) {
    this.id = id;
    this.app = app;
  }

  get services() {
    reads += 1;
    return SERVICES;
  }
}

function routes(): Routes {
  const apps = Array.from({ length: APPS }, (_, i) => ({
    ...{ name: `app-${i}`, org: "acme", hostnames: [`www.app-${i}.example`] },
  }));
  const machines = Array.from(
    { length: APPS * OF_APP },
    (_, i) => new CountedMachine(`m${i}`, `app-${i % APPS}`),
  );
  return { position: "1", apps, machines, hosts: [] };
}

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Memory in use, without what is garbage. */
function heapMb(): number {
  collect();
  return process.memoryUsage().heapUsed / (1024 * 1024);
}

test(
  "a table of 100,000 machines looks at those of the app that is asked for, and takes bounded memory",
  () => {
    const all = routes();
    const beforeMb = heapMb();
    const table = new RouteTable(["localhost"]);

    table.replace(all);
    reads = 0;
    const app = table.appOfHostname("www.app-7.example")?.name ?? "";
    expect(table.pool(app, 80)?.members.length).toBe(OF_APP);
    const nothing = { position: "", apps: [], hosts: [], goneApps: [] };
    table.apply({ ...nothing, machines: [new CountedMachine("new", app)], goneMachines: ["m7"] });
    expect(table.pool(app, 80)?.members.length).toBe(OF_APP);
    // For the pool, twice, and for whether it has ports of its own.
    expect(reads).toBeLessThanOrEqual(4 * (OF_APP + 1));

    for (const { name } of all.apps) table.pool(name, 80);
    expect(heapMb() - beforeMb).toBeLessThan(100);
    table.replace({ position: "2", apps: [], machines: [], hosts: [] });
    expect(table.size).toEqual({ apps: 0, machines: 0, hosts: 0 });
    expect(heapMb() - beforeMb).toBeLessThan(20);
    expect(all.machines.length).toBe(APPS * OF_APP);
  },
  LIMIT_MS,
);
