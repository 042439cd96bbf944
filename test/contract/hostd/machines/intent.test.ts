import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import type { GivenParts } from "../../../../src/hostd/hostd.ts";
import { machineId } from "../../../../src/hostd/machines/machine.ts";
import { sweep } from "../../../../src/hostd/operations/reconcile.ts";
import type { Store } from "../../../../src/hostd/store/store.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { hostFolder, startHost, type TestHost } from "../fixture.ts";

const NOTHING = { cpus: 0, memoryMb: 0, diskMb: 0 };
const DISK_FULL = new Fault("RESOURCE_EXHAUSTED", "DISK_FULL", "the disk is full");

let folder: ReturnType<typeof hostFolder>;
let disk: SlowDisk;
let host: TestHost;
beforeEach(async () => {
  folder = hostFolder();
  disk = new SlowDisk();
  host = await startHost({ dir: folder.path, store: (store) => disk.store(store) });
});
afterEach(async () => {
  await host.close();
  folder.remove();
});

/** A disk that writes the intent of a start when the test says so. */
class SlowDisk {
  #turn: Promise<void> = Promise.resolve();
  write: () => void = () => {};
  refuse: (err: Error) => void = () => {};

  /** From now on starts wait for `write` or `refuse`. */
  hold(): void {
    this.#turn = new Promise((resolve, reject) => {
      this.write = resolve;
      this.refuse = reject;
    });
  }

  store(store: Store): GivenParts["store"] {
    return {
      incarnation: store.incarnation,
      trouble: undefined,
      get: (id) => store.get(id),
      all: () => store.all(),
      subscribe: (id, listener) => store.subscribe(id, listener),
      flush: () => store.flush(),
      prune: (beforeMs) => store.prune(beforeMs),
      note: (change) => store.note(change),
      intend: async (change) => {
        if (change.machine.state === "starting") await this.#turn;
        await store.intend(change);
      },
    };
  }
}

/** Begins a start whose VM exists and whose intent is not on disk. */
async function startWithoutIntent(exec = ["sim-log", "3"]) {
  const { id } = await host.created({ exec });
  const was = await host.get(id);
  disk.hold();
  const starting = host.start(id);
  starting.catch(() => {});
  await expect.poll(() => host.sim.list()).toHaveLength(1);
  return { id, was, starting };
}

async function hasWritten(): Promise<boolean> {
  await host.logs.flush();
  return (await host.logs.owners()).length > 0;
}

describe("a start whose VM exists before its intent is on disk", () => {
  test("runs nothing until it is, and then runs", async () => {
    const { starting, was } = await startWithoutIntent();
    expect(await host.get(was.id)).toEqual(was);
    expect(await hasWritten()).toBe(false);

    disk.write();

    expect((await starting).machine?.state).toBe(MachineState.STARTED);
    await expect.poll(hasWritten).toBe(true);
  });

  test("is refused with DISK_FULL, has run nothing, and leaves machine and host unchanged", async () => {
    const { id, was, starting } = await startWithoutIntent();

    disk.refuse(DISK_FULL);

    await expect(starting).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED", reason: "DISK_FULL" });
    expect(await host.get(id)).toEqual(was);
    await host.host.teardowns.all();
    expect(await host.sim.list()).toEqual([]);
    expect(await hasWritten()).toBe(false);
    expect(host.host.ledger.sums().running).toEqual(NOTHING);
    expect(host.host.starts.running).toBe(0);

    disk.hold();
    disk.write();
    expect((await host.start(id)).machine?.state).toBe(MachineState.STARTED);
  });

  test("is refused at once while its VM is still booting", async () => {
    const { starting, was } = await startWithoutIntent(["sim-hang"]);

    disk.refuse(DISK_FULL);

    await expect(starting).rejects.toMatchObject({ reason: "DISK_FULL" });
    expect(await host.get(was.id)).toEqual(was);
    await host.host.teardowns.all();
    expect(await host.sim.list()).toEqual([]);
  });

  test("that is stopped meanwhile ends stopped, and has run nothing", async () => {
    const { id, starting } = await startWithoutIntent();
    const stopping = host.stop(id);
    await expect.poll(() => host.machines.driver(machineId(id)).activity).toBe("stop");

    disk.write();

    await expect(starting).rejects.toMatchObject({ reason: "INVALID_STATE" });
    expect((await stopping).machine?.state).toBe(MachineState.STOPPED);
    await host.host.teardowns.all();
    expect(await host.sim.list()).toEqual([]);
    expect(await hasWritten()).toBe(false);
  });

  test("keeps its VM in a sweep", async () => {
    const { starting } = await startWithoutIntent();
    const before = await host.sim.list();

    await sweep(host.host, host.machines);

    expect(await host.sim.list()).toEqual(before);
    disk.write();
    expect((await starting).machine?.state).toBe(MachineState.STARTED);
    expect(host.machines.list().map(({ vmId }) => vmId)).toEqual(before);
  });

  test("leaves no VM when hostd is killed then, and a machine that can be started", async () => {
    const { id } = await startWithoutIntent();
    host.client.close();
    await host.sim.close();
    await host.store.close();

    const after = await startHost({ dir: folder.path });

    expect(await after.sim.list()).toEqual([]);
    expect((await after.get(id)).state).toBe(MachineState.CREATED);
    expect((await after.start(id)).machine?.state).toBe(MachineState.STARTED);
    await after.close();
  });
});
