import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { machineId } from "../../../../src/hostd/machines/machine.ts";
import { startHost, type TestHost } from "../fixture.ts";

const POLL = { timeout: 20_000, interval: 5 };
const OTHER = `sha256:${"e".repeat(64)}`;
const CONFIG = { snapshot: "ready" };
const SAVED_MB = 8;

let host: TestHost;
beforeEach(async () => {
  host = await startHost();
});
afterEach(() => host.close());

function snapshotOf(id: string, on: TestHost = host) {
  return on.machines.get(machineId(id), "").snapshot;
}

function savedOf(id: string, on: TestHost) {
  return on.machines.get(machineId(id), "").saved?.vmId;
}

/** Starts a machine and waits for its snapshot. */
async function saved(on: TestHost = host, memoryMb = 256): Promise<string> {
  const { id } = await on.created({ config: CONFIG, memoryMb });
  await on.start(id, { watchMs: 0 });
  await expect.poll(() => snapshotOf(id, on)?.name, POLL).toBeTruthy();
  return id;
}

async function startedAgain(id: string) {
  await host.stop(id);
  return host.start(id, { watchMs: 0 });
}

test("a machine is saved once it is ready, goes on, and later starts are that moment", async () => {
  const id = await saved();

  expect((await host.get(id)).state).toBe(MachineState.STARTED);
  expect(await host.sim.list()).toHaveLength(1);
  await expect.poll(() => host.host.ledger.sums().allocated.diskMb, POLL).toBe(1_024 + SAVED_MB);

  expect((await startedAgain(id)).startPath).toBe("snapshot");
  const name = snapshotOf(id)?.name;
  expect((await startedAgain(id)).startPath).toBe("snapshot");
  expect(snapshotOf(id)?.name).toBe(name);
  expect((await host.sim.saved()).map((each) => each.name)).toEqual([name]);
});

describe("a suspend that waits for the start", () => {
  /** Starts a machine, and suspends it as soon as it runs. */
  async function suspendAtOnce(): Promise<string> {
    const { id } = await host.created({ config: CONFIG });
    const goOn = host.sim.hold("launch");
    const started = host.start(id, { watchMs: 0 });
    await expect.poll(() => host.machines.get(machineId(id), "").state, POLL).toBe("starting");
    const suspended = host.suspend(id);
    // Calls of a connection arrive in their order.
    await host.get(id);
    goOn();
    await Promise.all([suspended, started]);
    return id;
  }

  test("comes before the snapshot of that start", async () => {
    const id = await suspendAtOnce();

    expect((await host.get(id)).state).toBe(MachineState.SUSPENDED);
    expect((await host.sim.saved()).map(({ name }) => name)).toEqual([savedOf(id, host)]);
    expect(host.host.ledger.sums().allocated.diskMb).toBe(1_024 + SAVED_MB);
  });

  test("is followed by the snapshot when it fails", async () => {
    host.sim.failNext("save");

    await expect(suspendAtOnce()).rejects.toMatchObject({ reason: "SUSPEND_FAILED" });

    const [machine] = host.machines.list();
    await expect.poll(() => snapshotOf(machine?.id ?? "")?.name, POLL).toBeTruthy();
    await expect.poll(() => host.host.ledger.sums().allocated.diskMb, POLL).toBe(1_024 + SAVED_MB);
  });
});

test("without the setting nothing is saved", async () => {
  const { id } = await host.created();
  await host.start(id);

  expect((await startedAgain(id)).startPath).toBe("cold");
  expect(await host.sim.saved()).toEqual([]);
});

test("a start from a snapshot that fails is one from the image, and the next snapshot takes its place", async () => {
  const id = await saved();
  const before = snapshotOf(id)?.name;
  host.sim.failNext("resume");

  const { startPath, machine } = await startedAgain(id);

  expect(startPath).toBe("cold");
  expect(machine?.events[0]?.message).toContain("what was saved could not go on");
  await expect.poll(() => snapshotOf(id)?.name || before, POLL).not.toBe(before);
  expect((await startedAgain(id)).startPath).toBe("snapshot");
});

test("a version whose snapshots fail is started from its image, and not saved any more", async () => {
  const id = await saved();
  for (let failures = 1; failures <= 3; failures++) {
    await expect.poll(() => snapshotOf(id)?.name, POLL).toBeTruthy();
    host.sim.failNext("resume");
    await startedAgain(id);
  }

  expect((await startedAgain(id)).startPath).toBe("cold");
  await expect.poll(() => host.sim.saved(), POLL).toEqual([]);
  expect(host.host.ledger.sums().allocated.diskMb).toBe(1_024);
});

test("a snapshot that works lets those before it be forgotten that did not, such as of a host before its upgrade", async () => {
  const id = await saved();
  for (let upgrades = 1; upgrades <= 4; upgrades++) {
    host.sim.failNext("resume");
    await startedAgain(id);
    await expect.poll(() => snapshotOf(id)?.name, POLL).toBeTruthy();

    expect((await startedAgain(id)).startPath).toBe("snapshot");
  }
});

test("a new version and a destroy drop the snapshot, and a suspend keeps it", async () => {
  const [updated, destroyed, suspended] = [await saved(), await saved(), await saved()];

  await host.update(updated, { digest: OTHER });
  await host.stop(updated);
  await host.destroy(destroyed, { force: true });
  await host.suspend(suspended);

  await expect.poll(() => host.sim.saved(), POLL).toHaveLength(2);
  expect(snapshotOf(updated)).toBeUndefined();
  expect((await host.start(suspended, { watchMs: 0 })).startPath).toBe("resume");
  expect((await startedAgain(suspended)).startPath).toBe("snapshot");
});

test("the snapshots of an organisation keep to their share: the one that was unused for longest goes", async () => {
  const capacity = { cpus: 8, memoryMb: 4_096, diskMb: 4_300 };
  const small = await startHost({ settings: { capacity } });
  try {
    const first = await saved(small, 1_005);
    const second = await saved(small, 1_005);

    expect(snapshotOf(first, small)).toBeUndefined();
    const names = async () => (await small.sim.saved()).map(({ name }) => name);
    await expect.poll(names, POLL).toEqual([snapshotOf(second, small)?.name]);
  } finally {
    await small.close();
  }
});
