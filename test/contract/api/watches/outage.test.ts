import { expect, test } from "vitest";
import { hasReason } from "../../../../src/lib/faults/fault.ts";
import { startPostgres } from "../../../support/servers/postgres.ts";
import { startApi, World } from "../fixture.ts";
import { idsOf, Reporter } from "./fixture.ts";
import { Watcher } from "./watcher.ts";

test("a watch goes on while the database restarts: nothing is lost, and nothing comes twice", async () => {
  const world = await World.open(1);
  const postgres = await startPostgres();
  const api = await startApi(world, { databaseUrl: postgres.url("postgres") });
  await api.announce(world.host(1));
  await expect.poll(() => api.database.isReady).toBe(true);
  await api.user.createApp("web");
  const { machine } = await api.user.create();
  if (!machine) throw new Error("no machine");
  const host = new Reporter(world);
  const watcher = new Watcher(api.user);
  await expect.poll(() => watcher.position).not.toBe("");
  const [before, after] = [host.change(machine), host.change(machine)];
  await host.report(api, [before]);

  await postgres.part.crash();
  const report = async () => {
    try {
      await host.report(api, [before, after]);
      return true;
    } catch (err) {
      if (hasReason(err, "DATABASE_UNAVAILABLE")) return false;
      throw err;
    }
  };
  await expect.poll(report).toBe(true);

  await expect.poll(() => watcher.eventIds).toEqual(idsOf([before, after]));
  await watcher.close();
  await api.close();
  await postgres.close();
  await world.close();
});
