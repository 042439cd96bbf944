import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { expect } from "vitest";
import { findLeftovers } from "../../../dev/supervisor/sweep.ts";
import { MachineState } from "../../../src/gen/windhover/machines/v1/machine.ts";
import { SimFiles } from "../../../src/hostd/vmm/sim/sim-files.ts";
import { processTree } from "../../../tools/lib/processes.ts";
import { doctor } from "./doctor.ts";
import { type HostView, type HostViews, openHostViews } from "./host-views.ts";
import type { World } from "./world.ts";

/** How long a fleet may take to put everything right: a sweep looks at machines and pins once a minute, and leaves alone what is younger than that. */
const LONGEST = { timeout: 110_000, interval: 250 };
const DOCTOR = { timeout: 60_000, interval: 1_000 };
const AMOUNTS = ["cpus", "memoryMb", "diskMb"] as const;

/** What must hold of a fleet, whatever has happened to it. */
export interface Invariants {
  /** What is wrong that may not be wrong for a moment, of the hosts that answer. */
  always(): Promise<readonly string[]>;
  /** Waits until nothing is under way and nothing is left over; fails with everything that still is. @param unless leaves violations out that take a sweep */
  expectRest(unless?: RegExp): Promise<void>;
  close(): void;
}

/** Looks at a fleet from all sides: its hosts, image caches, record, files, sockets and processes. */
export async function openInvariants(world: World): Promise<Invariants> {
  const views = await openHostViews(world.fleet);
  return {
    always: async () => always(await views.answering()),
    async expectRest(unless) {
      await expect.poll(async () => violations(world, views, unless), LONGEST).toEqual([]);
      // A host that had to refuse awards is passed over for half a minute.
      await expect.poll(async () => except(await doctor(world.fleet), unless), DOCTOR).toEqual([]);
    },
    close: () => views.close(),
  };
}

async function violations(world: World, views: HostViews, unless: RegExp | undefined): Promise<string[]> {
  try {
    const hosts = await views.all();
    const found = [
      ...always(hosts),
      ...hosts.flatMap(unsettled),
      ...(await Promise.all(hosts.map((host) => vms(world, host)))).flat(),
      ...(await record(world, hosts)),
      ...(await reservations(world)),
      ...files(world),
      ...processes(world),
      ...(await sockets(world)),
    ];
    return except(found, unless);
  } catch (err) {
    return [`could not look: ${err instanceof Error ? err.message : err}`];
  }
}

function except(found: readonly string[], unless: RegExp | undefined): string[] {
  return found.filter((each) => !unless?.test(each));
}

/** No host promises more than it has, and no machine is there twice. */
function always(hosts: readonly HostView[]): string[] {
  const over = hosts.flatMap(({ name, capacity, held, allocated }) =>
    AMOUNTS.filter(
      (amount) => Number(held[amount]) + Number(allocated[amount]) > Number(capacity[amount]),
    ).map(
      (amount) => `${name} promises ${held[amount]} + ${allocated[amount]} of ${capacity[amount]} ${amount}`,
    ),
  );
  const places = new Map<string, string[]>();
  for (const { name, machines } of hosts) {
    // Of a host whose answer to an award was lost, a create asks another one: then it is there twice until it goes on, but only one gets further.
    for (const machine of machines.filter(({ state }) => state !== MachineState.CREATING)) {
      // Names are one for each create of a living machine.
      for (const key of [`machine ${machine.id}`, `create ${machine.app}/${machine.name}`])
        places.set(key, [...(places.get(key) ?? []), `${machine.id} on ${name}`]);
    }
  }
  const twice = [...places].filter(([, where]) => where.length > 1);
  return [...over, ...twice.map(([key, where]) => `${key} is there more than once: ${where.join(", ")}`)];
}

/** Holds, words to the record and pins, of a host at rest. */
function unsettled(host: HostView): string[] {
  const { name, machines, pins } = host;
  const ids = new Set(machines.map(({ id }) => id));
  const pinned = new Set(pins);
  return [
    ...host.holds.map((id) => `${name} holds for reservation ${id}`),
    ...(host.undelivered > 0 ? [`${name} has ${host.undelivered} events to deliver`] : []),
    ...machines
      .filter(({ state }) => !RESTING.has(state))
      .map(({ id, state }) => `${name}: ${id} is ${stateName(state)}`),
    ...pins
      .filter((owner) => !ids.has(owner))
      .map((owner) => `${name} has a pin of ${owner}, which is not there`),
    ...[...ids].filter((id) => !pinned.has(id)).map((id) => `${name} has no pin of ${id}`),
  ];
}

const RESTING: ReadonlySet<MachineState> = new Set([
  MachineState.CREATED,
  MachineState.STARTED,
  MachineState.STOPPED,
  MachineState.FAILED,
]);

function stateName(state: MachineState): string {
  return (
    Object.entries(MachineState)
      .find(([, value]) => value === state)?.[0]
      .toLowerCase() ?? String(state)
  );
}

/** Whoever runs has one VM, and there are no others. */
async function vms(world: World, { name, number, machines }: HostView): Promise<string[]> {
  const running = machines.filter(({ state }) => state === MachineState.STARTED).length;
  const found = (await new SimFiles(join(world.fleet.layout.ofHost(number, "hostd"), "sim")).list()).length;
  return found === running ? [] : [`${name} has ${found} VMs for ${running} machines that run`];
}

/** The database has the machines that hosts have, as they are, and no create is under way. */
async function record(world: World, hosts: readonly HostView[]): Promise<string[]> {
  const rows = await world.sql<{ id: string | null; committed: boolean; state: string; generation: string }>(
    "select id, committed, state, generation from machines where state <> 'destroyed'",
  );
  const sagas = await world.sql<{ id: string; status: string; fault: unknown }>(
    "select id, status, fault from sagas where status not in ('done', 'failed')",
  );
  const describe = (state: string, generation: bigint | string) => `${state}, generation ${generation}`;
  const stored = new Map(rows.map((row) => [row.id ?? "?", describe(row.state, row.generation)]));
  const there = new Map(
    hosts.flatMap(({ machines }) =>
      machines.map(({ id, state, generation }) => [id, describe(stateName(state), generation)] as const),
    ),
  );
  return [
    ...sagas.map(({ id, status }) => `create ${id} is ${status}`),
    ...rows.filter((row) => !row.committed).map(({ id }) => `machine ${id ?? "?"} is not committed`),
    ...[...new Set([...stored.keys(), ...there.keys()])]
      .filter((id) => stored.get(id) !== there.get(id))
      .map(
        (id) =>
          `${id} is ${stored.get(id) ?? "nothing"} in the database and ${there.get(id) ?? "nothing"} on hosts`,
      ),
  ];
}

async function reservations(world: World): Promise<string[]> {
  const live = await world.clients.reservations();
  return live.map(({ id }) => `reservation ${id} lives`);
}

/** Nothing half-made is left on a host's disk. */
function files(world: World): string[] {
  return world.fleet.hosts.flatMap(({ number, name }) => {
    const folder = join(world.fleet.layout.ofHost(number, "imagecache"), "tmp");
    return readdirSync(folder).map((file) => `${name} has ${file} left in tmp`);
  });
}

/** Every process of the fleet is one that is looked after, or its child. */
function processes({ fleet }: World): string[] {
  const known = fleet.parts.flatMap(({ process }) => (process ? processTree(process) : []));
  const pids = new Set(known.map(({ pid }) => pid));
  const { vms, postgres, others } = findLeftovers(fleet.layout);
  return [...vms, ...postgres, ...others]
    .filter(({ pid }) => !pids.has(pid))
    .map(({ pid }) => `process ${pid} is nobody's`);
}

/** Every socket in the fleet's folder has somebody who listens. */
async function sockets({ fleet }: World): Promise<string[]> {
  const paths = socketsBelow(fleet.folder, 5);
  const answers = await Promise.all(paths.map(listens));
  return paths.filter((_, index) => !answers[index]).map((path) => `nobody listens on ${path}`);
}

async function listens(path: string): Promise<boolean> {
  const socket = createConnection(path);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function socketsBelow(folder: string, depth: number): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isSocket()) return [path];
    return entry.isDirectory() && depth > 0 ? socketsBelow(path, depth - 1) : [];
  });
}
