import { expect, test } from "vitest";
import { MachineState, ServiceConfig } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { hasReason } from "../../../../src/lib/faults/fault.ts";
import { startPostgres } from "../../../support/servers/postgres.ts";
import { startApi, World } from "../fixture.ts";
import { Reporter } from "../watches/fixture.ts";
import { RouteWatcher } from "./route-watcher.ts";

test("a proxy hears of changes again when the database is back, by the same watch", async () => {
  const world = await World.open(1);
  const postgres = await startPostgres();
  const api = await startApi(world, { databaseUrl: postgres.url("postgres") });
  await api.announce(world.host(1));
  await expect.poll(() => api.database.isReady).toBe(true);
  await api.user.createApp("web");
  const services = [ServiceConfig.fromPartial({ internalPort: 80, ports: [{ port: 80 }] })];
  const { machine } = await api.user.create({ config: { services } });
  if (!machine) throw new Error("no machine");
  const proxy = await new RouteWatcher(api.internal).complete();
  const host = new Reporter(world);
  const change = host.change(machine);

  await postgres.part.crash();
  const report = async () => {
    try {
      await host.report(api, [change]);
      return true;
    } catch (err) {
      if (hasReason(err, "DATABASE_UNAVAILABLE")) return false;
      throw err;
    }
  };
  await expect.poll(report, { timeout: 20_000 }).toBe(true);

  const state = () => proxy.machines.get(machine.id)?.state;
  await expect.poll(state, { timeout: 10_000 }).toBe(MachineState.STARTED);
  expect(proxy.begins).toBe(1);
  await proxy.close();
  await api.close();
  await postgres.close();
  await world.close();
});
