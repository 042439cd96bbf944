import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { faultOf } from "../../../support/fault-of.ts";
import { startPostgres } from "../../../support/servers/postgres.ts";
import { temporaryFolder } from "../../../support/temporary.ts";
import { startApi, type TestApi, World } from "../fixture.ts";

const LIMIT = { timeoutMs: 20_000 };

let world: World;
let api: TestApi;

beforeAll(async () => {
  world = await World.open();
  api = await world.api();
  await api.user.createApp("web");
});
afterAll(() => world.close());
beforeEach(() => world.clear());

describe("with everything central down", () => {
  test("an api that has just started finds every machine by its file, and its host does the rest", async () => {
    const folder = temporaryFolder("api-state");
    const before = await world.api({ stateDir: folder.path });
    const id = (await before.user.create()).machine?.id ?? "";
    await before.close();
    const calls = world.scheduler.calls.length;

    const after = await startApi(world, {
      stateDir: folder.path,
      databaseUrl: "postgres:///none?host=/nonexistent",
    });
    const { machines } = after.user;
    const started = await after.user.start(id);
    const seen = await after.user.get(id);
    const waited = await call(
      machines,
      machines.waitMachine,
      {
        instanceId: "",
        afterEventId: "",
        settled: false,
        acrossCalls: false,
        ready: false,
        machineId: id,
        states: [],
        timeout: undefined,
      },
      LIMIT,
    );
    const stop = { machineId: id, signal: "", timeout: undefined, leaseNonce: "" };
    const stopped = await call(machines, machines.stopMachine, stop, LIMIT);
    const destroyed = await call(
      machines,
      machines.destroyMachine,
      { leaseNonce: "", machineId: id, force: false },
      LIMIT,
    );

    expect([started.machine?.state, seen?.state, waited.machine?.state]).toEqual([4, 4, 4]);
    expect(stopped.machine?.state).toBe(MachineState.STOPPED);
    expect(destroyed.machine?.state).toBe(MachineState.DESTROYED);
    expect(world.scheduler.calls).toHaveLength(calls);
    await after.close();
    folder.remove();
  });

  test("a damaged file costs its damaged part only", async () => {
    const folder = temporaryFolder("api-state");
    const before = await world.api({ stateDir: folder.path });
    const id = (await before.user.create()).machine?.id ?? "";
    await before.close();
    const path = join(folder.path, "hosts.json");
    const entries: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (!Array.isArray(entries)) throw new Error("the file does not hold a list");
    writeFileSync(path, JSON.stringify([{ number: "nonsense" }, ...entries]));

    const after = await startApi(world, {
      stateDir: folder.path,
      databaseUrl: "postgres:///none?host=/nonexistent",
    });

    expect((await after.user.start(id)).machine?.state).toBe(MachineState.STARTED);
    await after.close();
    folder.remove();
  });

  test("an announcement is taken, and said not to be stored", async () => {
    const lonely = await startApi(world, { databaseUrl: "postgres:///none?host=/nonexistent" });

    expect((await lonely.announce(world.host(1))).recorded).toBe(false);
    const { reports } = lonely.internal;
    const host = world.host(1);
    const request = { hostNumber: host.number, identity: host.identity, events: [] };
    const reporting = call(reports, reports.reportEvents, request, LIMIT);
    expect(await faultOf(reporting)).toMatchObject({ code: "UNAVAILABLE", reason: "DATABASE_UNAVAILABLE" });
    await lonely.close();
  });

  test("a database that hangs, rather than refuses, holds up nothing of a machine's life", async () => {
    const postgres = await startPostgres();
    const hanging = await startApi(world, { databaseUrl: postgres.url("postgres") });
    await hanging.announce(world.host(1));
    await expect.poll(() => hanging.database.isReady).toBe(true);
    const id = (await api.user.create()).machine?.id ?? "";
    postgres.part.pause();

    let hasGivenUp = false;
    const asked = hanging.database.query({ name: "probe", text: "select 1", values: [] }).catch(() => {
      hasGivenUp = true;
    });
    await hanging.user.start(id);
    // Sooner than anybody who had waited for the database.
    expect(hasGivenUp).toBe(false);
    const scheduled = world.scheduler.calls.length;
    await hanging.user.start(id);

    expect(world.scheduler.calls).toHaveLength(scheduled);
    postgres.part.resume();
    await asked;
    await hanging.close();
    await postgres.close();
  });
});
