import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { redisSocket } from "../../../dev/services/redis.ts";
import { MachineState, Placement } from "../../../src/gen/windhover/machines/v1/machine.ts";
import { Redis } from "../../../src/lib/stores/redis.ts";
import { configOf, type Machine } from "../../support/clients.ts";
import { type Invariants, openInvariants } from "../world/invariants.ts";
import { cycle, removeAll, startTraffic, type Traffic } from "../world/traffic.ts";
import { openWorld, type World } from "../world/world.ts";

const REDIS_PAUSE_MS = 10_000;
const POSTGRES_OUTAGE_MS = 30_000;
const READ_ONLY_MS = 4_000;
/** Whoever waits for a store waits for a time-out, and the shortest takes 700 ms: more than half of that is a wait. */
const UNDISTURBED_MS = 350;
/** How long starts are looked at before the trouble: a loaded machine is slow without any. */
const BEFORE_MS = 2_000;
const RECOVERY = { timeout: 60_000, interval: 100 };
const CYCLE = [MachineState.STARTED, MachineState.STOPPED];

describe("while machines are created, the fleet outlives", () => {
  let world: World;
  let invariants: Invariants;
  /** One on each host. */
  let machines: readonly Machine[];
  let traffic: Traffic;

  beforeAll(async () => {
    world = await openWorld(2, { HOSTD_CPUS: "128", HOSTD_MEMORY_MB: "65536" });
    invariants = await openInvariants(world);
    machines = await Promise.all([1, 2].map((hostNumber) => create(hostNumber)));
  });
  afterEach(async () => {
    const ids = await traffic.settle();
    // Whoever asked got one machine, and no two got the same.
    expect(new Set(ids).size).toBe(ids.length);
    for (const { state } of await Promise.all(ids.map((id) => world.clients.get(id))))
      expect(state).toBe(MachineState.STARTED);
    expect(await invariants.always()).toEqual([]);
    await removeAll(world, ids);
    await invariants.expectRest();
  }, 180_000);
  afterAll(async () => {
    invariants?.close();
    await world?.close();
  });

  it("Redis flushed, again and again", async () => {
    traffic = startTraffic(world, "flushed");
    const redis = new Redis(redisSocket(world.fleet.layout.of("redis")));
    await redis.ready(20_000);

    for (let round = 0; round < 5; round++) {
      await traffic.more(2);
      await redis.run("FLUSHALL", (client) => client.flushall());
      for (const { id } of machines) expect((await cycle(world, id)).states).toEqual(CYCLE);
    }

    await redis.close();
  });

  it("Redis restarted", async () => {
    traffic = startTraffic(world, "restarted");
    await traffic.more(2);

    await world.fleet.crash("redis");

    await expect(traffic.more(4)).resolves.toBeUndefined();
  });

  it("Redis paused for 10 s: starts do not notice", async () => {
    traffic = startTraffic(world, "paused");
    await traffic.more(2);

    const usualMs = await startingFor(BEFORE_MS);
    world.fleet.pause("redis");
    const typicalMs = await startingFor(REDIS_PAUSE_MS);
    world.fleet.resume("redis");

    expect(typicalMs - usualMs).toBeLessThan(UNDISTURBED_MS);
    await traffic.more(2);
  });

  it("Postgres stopped for 30 s: starts do not notice, and nothing of them is lost", async () => {
    traffic = startTraffic(world, "stopped");
    await traffic.more(2);

    const usualMs = await startingFor(BEFORE_MS);
    await world.fleet.stop("postgres");
    await expect(refused()).resolves.toBe("DATABASE_UNAVAILABLE");
    const typicalMs = await startingFor(POSTGRES_OUTAGE_MS);
    await world.fleet.start("postgres");

    expect(typicalMs - usualMs).toBeLessThan(UNDISTURBED_MS);
    await traffic.more(2);
  });

  it("Postgres failing over: connections are cut, and for a while it only reads", async () => {
    traffic = startTraffic(world, "failover");
    await traffic.more(2);

    const usualMs = await startingFor(BEFORE_MS);
    await readOnly("on");
    await expect(refused()).resolves.toBe("DATABASE_UNAVAILABLE");
    const listed = (await world.clients.list(world.app)).map(({ id }) => id);
    expect(listed).toEqual(expect.arrayContaining(machines.map(({ id }) => id)));
    const typicalMs = await startingFor(READ_ONLY_MS);
    await readOnly("off");

    expect(typicalMs - usualMs).toBeLessThan(UNDISTURBED_MS);
    await traffic.more(2);
  });

  /** Starts and stops machines of both hosts all the while; what half of the starts and stops took at most, in milliseconds: one may be slow on a busy machine. */
  async function startingFor(ms: number): Promise<number> {
    const until = performance.now() + ms;
    const all: number[] = [];
    await expect
      .poll(
        async () => {
          for (const { id } of machines) {
            const turn = await cycle(world, id);
            expect(turn.states).toEqual(CYCLE);
            all.push(turn.ms);
          }
          expect(await invariants.always()).toEqual([]);
          return performance.now();
        },
        { timeout: ms + 60_000, interval: 100 },
      )
      .toBeGreaterThan(until);
    return all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)] ?? 0;
  }

  function create(hostNumber?: number): Promise<Machine> {
    const placement = Placement.fromPartial(hostNumber === undefined ? {} : { hostNumber });
    const request = { app: world.app, skipLaunch: true, config: configOf(world.image), placement };
    return world.clients.create(request, 15_000);
  }

  /** Why no machine can be created. */
  function refused(): Promise<string> {
    return create()
      .then(({ id }) => `created ${id}`)
      .catch((err: { reason?: string }) => err.reason ?? String(err));
  }

  /** What a failover looks like to those who are connected: the old primary ends, and the next one does not write yet. */
  async function readOnly(value: "on" | "off"): Promise<void> {
    await expect
      .poll(async () => {
        await world.sql(`alter system set default_transaction_read_only = ${value}`);
        await world.sql("select pg_reload_conf()");
        await world.sql(
          "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and backend_type = 'client backend'",
        );
        const [row] = await world
          .sql<{ setting: string }>("show default_transaction_read_only")
          .then((rows) => rows.map((each) => ({ setting: Object.values(each)[0] ?? "" })));
        return row?.setting;
      }, RECOVERY)
      .toBe(value);
  }
});
