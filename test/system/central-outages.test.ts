import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { createConnection } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { redisSocket } from "../../scripts/fleet/redis.ts";
import {
  HostStatus,
  MachineState,
  Placement,
  PlacementStrategy,
} from "../../src/gen/windhover/machines/v1/machine.ts";
import { configOf, type Machine } from "../support/clients.ts";
import { type Invariants, openInvariants } from "./invariants.ts";
import { openWorld, type World } from "./world.ts";

const RECOVERY = { timeout: 40_000, interval: 100 };
/** Dropped by a sweep, of which a test of its own waits for the end. */
const PINS = /has a pin of/;
/** A create is told at once that it cannot be; while something comes back it may take longer. */
const CREATE_TIMEOUT_MS = 20_000;

describe("the fleet is as before", () => {
  let world: World;
  let invariants: Invariants;
  /** One on each host. */
  const residents = new Map<string, Machine>();
  let count = 0;

  beforeAll(async () => {
    world = await openWorld();
    invariants = await openInvariants(world);
    // Spread over hosts, so the second one is on the other host.
    for (let i = 0; i < 2; i++) {
      const machine = await create();
      residents.set(hostdOf(machine.id), machine);
    }
  });
  afterAll(async () => {
    invariants?.close();
    await world?.close();
  });

  it("after Redis was flushed amid creates", async () => {
    const creates = burst();
    await redisCommand("FLUSHALL");

    await settle(await creates);
  });

  it("after Redis was started again amid creates", async () => {
    const creates = burst();
    await world.fleet.restart("redis");

    await settle(await creates);
  });

  it("after Redis hung for 10 s; machines start and stop all the while", async () => {
    world.fleet.pause("redis");
    const creates = burst();
    await useFor(10_000).finally(() => world.fleet.resume("redis"));

    await settle(await creates);
  });

  it("after Postgres was away for 30 s; machines start and stop all the while", async () => {
    await world.fleet.stop("postgres");
    const creates = burst();
    try {
      await useFor(30_000);
    } finally {
      await world.fleet.start("postgres");
    }

    await settle(await creates);
  });

  it("after Postgres failed over: connections cut, and nothing may be written for a while", async () => {
    const creates = burst();
    await readOnly("on");
    await cutConnections();
    try {
      await useFor(5_000);
    } finally {
      await readOnly("off");
    }
    await cutConnections();

    await settle(await creates);
  });

  it("after a host's disk was full; what it could not write down it has not done", async () => {
    const { id } = resident("hostd-1");
    limitFiles("hostd-1", "1");
    const full = await world.clients.start(id).catch((error: unknown) => error);
    limitFiles("hostd-1", "unlimited");

    expect(full).toBeInstanceOf(Error);
    await settle([]);
  });

  it("after a host was gone: its machines are unreachable, creates go elsewhere, and it takes up what it had", async () => {
    const { id } = resident("hostd-2");
    await reachable(() => world.clients.start(id));
    await world.fleet.kill("hostd-2", "imagecache-2");

    await expect
      .poll(async () => (await world.clients.get(id)).hostStatus, RECOVERY)
      .toBe(HostStatus.UNREACHABLE);
    const elsewhere = await Promise.all([1, 2, 3].map(() => reachable(() => create())));
    expect(elsewhere.map((machine) => hostdOf(machine.id))).toEqual(["hostd-1", "hostd-1", "hostd-1"]);

    await world.fleet.start("imagecache-2", "hostd-2");
    await expect.poll(async () => (await world.clients.get(id)).hostStatus, RECOVERY).toBe(HostStatus.OK);
    expect((await world.clients.get(id)).state).toBe(MachineState.STARTED);
    await reachable(() => world.clients.stop(id));
    await settle(elsewhere.map(({ id: each }) => ({ requestId: "", id: each })));
  });

  it("and no image stays pinned by what is gone", () => invariants.expectRest(), 120_000);

  function create(requestId = ""): Promise<Machine> {
    const config = configOf(world.image, { init: { cmd: ["sim-run"] } });
    const placement = Placement.fromPartial({ strategy: PlacementStrategy.SPREAD });
    const request = { app: world.app, skipLaunch: true, requestId, config, placement };
    return world.clients.create(request, CREATE_TIMEOUT_MS);
  }

  /** Creates, some of which will fail. */
  function burst(): Promise<{ requestId: string; id?: string }[]> {
    return Promise.all(
      Array.from({ length: 6 }, async () => {
        const requestId = `outage-${count++}`;
        const machine = await create(requestId).catch(() => undefined);
        return machine === undefined ? { requestId } : { requestId, id: machine.id };
      }),
    );
  }

  /** Asks for each once more, which must give the machine it gave before; removes them, and waits for rest. */
  async function settle(creates: readonly { requestId: string; id?: string }[]): Promise<void> {
    for (const { requestId, id } of creates) {
      const again = requestId === "" ? id : (await reachable(() => create(requestId))).id;
      if (id !== undefined) expect(again).toBe(id);
      await reachable(() => world.clients.destroy(again ?? "", true));
    }
    for (const machine of residents.values()) await cycle(machine.id, reachable);
    await invariants.expectRest(PINS);
  }

  /** Starts and stops machines of both hosts until so much time has passed; each must succeed at once. */
  async function useFor(ms: number): Promise<void> {
    const end = performance.now() + ms;
    while (performance.now() < end) {
      for (const machine of residents.values()) await cycle(machine.id, (call) => call());
      expect(await invariants.always()).toEqual([]);
    }
  }

  async function cycle(id: string, by: <T>(call: () => Promise<T>) => Promise<T>): Promise<void> {
    expect((await by(() => world.clients.start(id))).machine?.state).toBe(MachineState.STARTED);
    expect((await by(() => world.clients.stop(id))).machine?.state).toBe(MachineState.STOPPED);
  }

  function resident(hostd: string): Machine {
    const machine = residents.get(hostd);
    if (machine === undefined) throw new Error(`there is no machine on ${hostd}`);
    return machine;
  }

  async function readOnly(mode: "on" | "off"): Promise<void> {
    await world.sql(`alter system set default_transaction_read_only = ${mode}`);
    await world.sql("select pg_reload_conf()");
  }

  async function cutConnections(): Promise<void> {
    await world.sql(
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
    );
  }

  async function redisCommand(command: string): Promise<void> {
    const socket = createConnection(redisSocket(join(world.fleet.folder, "redis")));
    socket.write(`${command}\r\n`);
    const [answer] = await once(socket, "data");
    socket.destroy();
    expect(String(answer)).toBe("+OK\r\n");
  }

  /** Lets no file of a process grow beyond so many bytes: to it, and to root as well, that is a full disk. */
  function limitFiles(part: string, bytes: string): void {
    execFileSync("prlimit", ["--pid", String(world.fleet.pid(part)), `--fsize=${bytes}:unlimited`]);
  }
});

/** The name of the part that owns a machine: its id says which host. */
function hostdOf(machineId: string): string {
  return `hostd-${Number.parseInt(machineId.slice(0, 5), 16)}`;
}

/** Calls until it succeeds: right after an outage a neighbour may not be back yet. */
async function reachable<T>(call: () => Promise<T>): Promise<T> {
  let last: { readonly value: T } | undefined;
  await expect
    .poll(async () => {
      last = { value: await call() };
      return true;
    }, RECOVERY)
    .toBe(true);
  if (last === undefined) throw new Error("unreachable");
  return last.value;
}
