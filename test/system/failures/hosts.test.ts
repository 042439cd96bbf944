import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HostStatus, MachineState, Placement } from "../../../src/gen/windhover/machines/v1/machine.ts";
import { configOf, type Machine } from "../../support/clients.ts";
import { leaveOut } from "../../support/leave-out.ts";
import { openSmallDisk } from "../../support/servers/small-disk.ts";
import { doctor } from "../world/doctor.ts";
import { type Invariants, openInvariants } from "../world/invariants.ts";
import { cycle } from "../world/traffic.ts";
import { openWorld, type World } from "../world/world.ts";

const RECOVERY = { timeout: 60_000, interval: 100 };
const CYCLE = [MachineState.STARTED, MachineState.STOPPED];
/** The one that has trouble. */
const VICTIM = 2;
const PARTS = [`hostd-${VICTIM}`, `imagecache-${VICTIM}`];
/** Longer than a scheduler needs to notice that a stream has ended. */
const ATTEMPTS = 6;
/** For a host's store and images. */
const DISK_MB = 24;

// One story: each test goes on where the one before it ended.
describe("a host", { shuffle: false }, () => {
  let world: World;
  let invariants: Invariants;
  /** On the victim: one that runs, and one that does not. */
  let running: Machine;
  let resting: Machine;

  beforeAll(async () => {
    world = await openWorld(2);
    invariants = await openInvariants(world);
    running = await create(VICTIM);
    resting = await create(VICTIM);
    await world.clients.start(running.id);
  });
  afterAll(async () => {
    invariants?.close();
    await world?.close();
  });

  it("that is gone keeps its machines in the record as unreachable, and new ones go elsewhere", async () => {
    // The record has heard of the start.
    await invariants.expectRest();
    await world.fleet.kill(...PARTS);

    for (const [machine, state] of [
      [running, MachineState.STARTED],
      [resting, MachineState.CREATED],
    ] as const) {
      await expect
        .poll(() => world.clients.get(machine.id), RECOVERY)
        .toMatchObject({ hostStatus: HostStatus.UNREACHABLE, state });
      await expect(world.clients.start(machine.id)).rejects.toMatchObject({ reason: "HOST_UNREACHABLE" });
    }
    // Lists are the record's, for which no host is asked.
    const listed = (await world.clients.list(world.app)).map(({ id, state }) => ({ id, state }));
    expect(listed).toContainEqual({ id: running.id, state: MachineState.STARTED });
    expect(listed).toContainEqual({ id: resting.id, state: MachineState.CREATED });
    const others = await Promise.all(Array.from({ length: ATTEMPTS }, () => create()));
    expect(others.map(hostOf)).toEqual(others.map(() => 1));
    await expect(create(VICTIM)).rejects.toMatchObject({ reason: "NO_CAPACITY" });
    await expect
      .poll(() => doctor(world.fleet), RECOVERY)
      .toEqual([expect.stringMatching(/^hosts: warn, 1 of 2 attached/)]);
    expect(await invariants.always()).toEqual([]);
  });

  it("that comes back has them as they were, and takes new ones", async () => {
    await world.fleet.start(...PARTS);

    await expect
      .poll(() => world.clients.get(running.id), RECOVERY)
      .toMatchObject({ hostStatus: HostStatus.OK, state: MachineState.STARTED });
    expect((await world.clients.stop(running.id)).machine?.state).toBe(MachineState.STOPPED);
    expect((await cycle(world, resting.id)).states).toEqual(CYCLE);
    await expect.poll(() => create(VICTIM).then(hostOf, () => undefined), RECOVERY).toBe(VICTIM);
    await invariants.expectRest();
  });

  it("whose disk is full refuses what it could not keep, stops what runs, and goes on once there is room", async (context) => {
    const { fleet, clients } = world;
    await clients.start(running.id);
    await fleet.kill(...PARTS);
    const disk = await openSmallDisk(join(fleet.layout.folder, "hosts", String(VICTIM)), DISK_MB);
    if (typeof disk === "string") leaveOut(context, `nobody may have a small disk here: ${disk}`);
    try {
      fleet.runBy(disk.command, ...PARTS);
      await fleet.start(...PARTS);
      await expect
        .poll(() => clients.get(running.id), RECOVERY)
        .toMatchObject({ state: MachineState.STARTED });
      const makeRoom = disk.fill();

      const restart = () =>
        clients
          .start(resting.id)
          .then(() => clients.stop(resting.id))
          .then(() => "", reasonOf);
      await expect.poll(restart, RECOVERY).toBe("DISK_FULL");
      await expect(clients.get(resting.id)).resolves.toMatchObject({ hostStatus: HostStatus.OK });
      const others = await Promise.all(Array.from({ length: ATTEMPTS }, () => create()));
      expect(others.map(hostOf)).toEqual(others.map(() => 1));
      await expect(create(VICTIM)).rejects.toBeDefined();

      makeRoom();
      const states = () =>
        cycle(world, resting.id).then(
          (turn) => turn.states,
          () => [],
        );
      await expect.poll(states, RECOVERY).toEqual(CYCLE);
      expect((await clients.stop(running.id)).machine?.state).toBe(MachineState.STOPPED);
      // No new ones for half a minute, since it refused awards; nothing else is to be known of it.
      await invariants.expectRest(/is in backoff for refusing awards/);
    } finally {
      // Its machines go with the disk: the last test.
      await fleet.kill(...PARTS);
      await disk.close();
    }
  }, 240_000);

  function create(hostNumber?: number): Promise<Machine> {
    const config = configOf(world.image, { init: { cmd: ["sim-run"] } });
    const placement = Placement.fromPartial(hostNumber === undefined ? {} : { hostNumber });
    return world.clients.create({ app: world.app, skipLaunch: true, config, placement });
  }
});

function hostOf({ id }: Machine): number {
  return Number.parseInt(id.slice(0, 5), 16);
}

function reasonOf(err: unknown): string {
  return err instanceof Error && "reason" in err ? String(err.reason) : String(err);
}
