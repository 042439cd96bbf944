import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { trimChanges } from "../../../../src/api/maintenance/retention.ts";
import { AnnounceHostRequest } from "../../../../src/gen/windhover/admin/v1/hosts.ts";
import {
  type Machine,
  MachineState,
  ServiceConfig,
} from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { faultOf } from "../../../support/fault-of.ts";
import type { Clients } from "../clients.ts";
import { WatchedWorld } from "../watches/fixture.ts";
import { RouteWatcher } from "./route-watcher.ts";

const LIMIT = { timeoutMs: 20_000 };
const SERVICES = [
  ServiceConfig.fromPartial({
    protocol: "tcp",
    internalPort: 8080,
    ports: [{ port: 80, handlers: ["http"] }],
  }),
];

let w: WatchedWorld;
const watchers: RouteWatcher[] = [];

beforeAll(async () => {
  w = await WatchedWorld.open();
});
afterAll(() => w.close());
beforeEach(async () => {
  await w.clear();
  // Tests move it ahead of changes that nobody has read.
  await w.world.sql("update machine_changes_horizon set xid = '0', position = 0");
});
afterEach(async () => {
  await Promise.all(watchers.splice(0).map((watcher) => watcher.close()));
});

function watch(afterPosition = "", from: Clients = w.api.internal): RouteWatcher {
  const watcher = new RouteWatcher(from, afterPosition);
  watchers.push(watcher);
  return watcher;
}

async function create(services: typeof SERVICES | [] = SERVICES): Promise<Machine> {
  const { machine } = await w.api.user.create({ config: { services } });
  if (!machine) throw new Error("no machine");
  return machine;
}

describe("a proxy that watches routes", () => {
  test("gets apps, hosts, and the machines that have services with ports", async () => {
    const routed = await create();
    const other = await create([]);

    const proxy = await watch().complete();

    expect(proxy.begins).toBe(1);
    expect([...proxy.apps.keys()].sort()).toEqual(["jobs", "web"]);
    expect(proxy.apps.get("web")).toMatchObject({ org: "personal", hostnames: [] });
    expect(proxy.hosts.get(1)).toMatchObject({ region: "ord", address: w.world.host(1).address });
    expect(proxy.machines.get(routed.id)).toMatchObject({
      ...{ app: "web", region: "ord", hostNumber: 1, services: SERVICES },
      ...{ instanceId: routed.instanceId, state: MachineState.CREATED, cordoned: false },
    });
    expect(proxy.machines.has(other.id)).toBe(false);
  });

  test("is told how machines change, at whichever api hosts report it", async () => {
    const { id, ...machine } = await create();
    const proxy = await watch().complete();
    const started = w.host.change({ ...machine, id });

    await w.host.report(w.other, [started]);

    await expect.poll(() => proxy.machines.get(id)?.state).toBe(MachineState.STARTED);
    expect(proxy.begins).toBe(1);
  });

  test("is told that machines are destroyed, and that an update has taken their services", async () => {
    const [destroyed, updated] = [await create(), await create()];
    const proxy = await watch().complete();
    const gone = w.host.change(destroyed, MachineState.DESTROYED);
    const bare = w.host.change(updated, MachineState.CREATED);
    const config = updated.config && { ...updated.config, services: [] };
    const whole = { ...updated, config, generation: bare.status?.generation ?? 0n };
    const event = bare.event && { ...bare.event, type: "update" };

    await w.host.report(w.api, [gone, { ...bare, status: undefined, machine: whole, event }]);

    await expect.poll(() => [...proxy.machines.keys()]).toEqual([]);
  });

  test("hears nothing of machines without services", async () => {
    const [quiet, routed] = [await create([]), await create()];
    const proxy = await watch().complete();

    await w.host.report(w.api, [w.host.change(quiet), w.host.change(routed)]);

    await expect.poll(() => proxy.machines.get(routed.id)?.state).toBe(MachineState.STARTED);
    expect(proxy.machinesTold).not.toContain(quiet.id);
  });

  test("is told of apps that are created and deleted, and of hosts at another address", async () => {
    const proxy = await watch().complete();
    const { reports } = w.api.internal;
    const { number, identity, name } = w.world.host(1);
    const host = { number, identity, name, region: "ord", zone: "a", address: "127.0.0.1:1" };

    await w.other.user.createApp("late");
    await call(reports, reports.announceHost, AnnounceHostRequest.fromPartial(host), LIMIT);

    await expect.poll(() => proxy.apps.has("late")).toBe(true);
    await expect.poll(() => proxy.hosts.get(1)?.address).toBe("127.0.0.1:1");
    const { apps } = w.api.user;
    await call(apps, apps.deleteApp, { name: "late", force: false }, LIMIT);
    await w.api.announce(w.world.host(1));
    await expect.poll(() => proxy.apps.has("late")).toBe(false);
    await expect.poll(() => proxy.hosts.get(1)?.address).toBe(w.world.host(1).address);
  });

  test("resumes at another api with what has changed since, and nothing else", async () => {
    const [changed, quiet] = [await create(), await create()];
    const first = await watch().complete();
    await first.close();
    await w.host.report(w.api, [w.host.change(changed)]);

    const second = watch(first.position, w.other.internal);
    const quick = watch(first.position);

    await expect.poll(() => quick.bytes.length).toBeGreaterThan(0);
    await expect.poll(() => second.machines.get(changed.id)?.state).toBe(MachineState.STARTED);
    expect(second.begins).toBe(0);
    expect(second.machinesTold).not.toContain(quiet.id);
    expect(second.apps.size).toBe(0);
  });

  test.each(["", "nonsense", "1-1", "zzzzzzzzzz-0"])(
    "gets everything after the position %j",
    async (after) => {
      await w.world.sql("update machine_changes_horizon set xid = '40', position = 3");
      const { id } = await create();

      const proxy = watch(after);

      await expect.poll(() => proxy.machines.has(id)).toBe(true);
      expect(proxy.begins).toBe(1);
    },
  );

  test("gets thousands of machines in responses of less than 1 MiB", async () => {
    const { id } = await create();
    await w.world.sql(
      `insert into machines (create_id, id, org, app, name, region, memory_mb, host_number, state, generation, committed, snapshot)
       select gen_random_uuid(), 'f' || lpad(to_hex(n), 13, '0'), org, app, 'copy-' || n, region, 0, host_number, state, 7, true,
              jsonb_set(snapshot, '{config,services,0,pad}', to_jsonb(repeat('x', 2000)))
         from machines, generate_series(1, 3000) n where id = $1`,
      [id],
    );

    const proxy = await watch().complete();

    expect(proxy.machines.size).toBe(3_001);
    expect(Math.max(...proxy.bytes)).toBeLessThan(1_048_576);
  });

  test("gets everything after changes of apps that are not kept any more", async () => {
    const first = await watch().complete();
    await first.close();
    await w.api.user.createApp("old");
    await w.world.sql("update route_changes set create_time = now() - interval '2 hours'");
    await trimChanges(w.api.database);

    const [left] = await w.world.sql("select count(*)::int as count from route_changes");
    const proxy = await watch(first.position).complete();

    expect(left).toEqual({ count: 0 });
    expect(proxy.begins).toBe(1);
    expect(proxy.apps.has("old")).toBe(true);
    await w.world.sql("delete from apps where name = 'old'");
  });

  test("needs the scope internal", async () => {
    const watcher = watch("", w.api.admin);

    expect(await faultOf(watcher.ended.then((err) => Promise.reject(err)))).toMatchObject({
      code: "PERMISSION_DENIED",
      reason: "SCOPE_MISSING",
    });
  });
});
