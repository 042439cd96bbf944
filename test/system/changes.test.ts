import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MachineState } from "../../src/gen/windhover/machines/v1/machine.ts";
import { durationToProto } from "../../src/lib/grpc/messages/duration.ts";
import { type ChangeCalls, changeCalls } from "../support/change-calls.ts";
import { configOf, type Machine } from "../support/clients.ts";
import { openWorld, type World } from "./world/world.ts";

const RECOVERY = { timeout: 60_000, interval: 100 };
const RUNS = { init: { cmd: ["sim-run"] } };
const HOUR = durationToProto(3_600_000);

// One story: each test goes on where the one before it ended.
describe("a machine with a lease", { shuffle: false }, () => {
  let world: World;
  let holder: ChangeCalls;
  let id: string;
  let leaseNonce: string;

  beforeAll(async () => {
    world = await openWorld(1);
    holder = changeCalls(world.clients.raw);
    const config = configOf(world.image, RUNS);
    const machine = await world.clients.create({ app: world.app, config, leaseTtl: HOUR });
    id = machine.id;
    leaseNonce = machine.lease?.nonce ?? "";
    expect(machine.state).toBe(MachineState.STARTED);
    expect(leaseNonce).not.toBe("");
  });
  afterAll(() => world?.close());

  it("runs its new version once its holder has updated it, and is counted with its new memory", async () => {
    const before = await world.clients.get(id);
    const larger = configOf(world.image, { ...RUNS, guest: guest(512), env: { VERSION: "2" } });

    await expect(holder.update(id, larger)).rejects.toMatchObject({ reason: "LEASE_HELD" });
    await expect(
      holder.update(id, larger, { leaseNonce, currentVersion: "01JAAAAAAAAAAAAAAAAAAAAAAA" }),
    ).rejects.toMatchObject({ reason: "VERSION_MISMATCH", facts: { current_version: before.instanceId } });
    const { machine } = await holder.update(id, larger, { leaseNonce, currentVersion: before.instanceId });

    expect(machine?.state).toBe(MachineState.STARTED);
    expect(machine?.config?.env.get("VERSION")).toBe("2");
    expect(machine?.instanceId).not.toBe(before.instanceId);
    expect(machine?.lease?.nonce).toBe("");
    await expectRecord(512, machine);
  });

  it("is restarted, signalled, cordoned and labelled by its holder, and its version stays", async () => {
    const { instanceId } = await world.clients.get(id);

    await expect(holder.restart(id)).rejects.toMatchObject({ reason: "LEASE_HELD" });
    expect((await holder.restart(id, { leaseNonce })).machine?.state).toBe(MachineState.STARTED);
    await expect(holder.cordon(id, true)).rejects.toMatchObject({ reason: "LEASE_HELD" });
    await holder.cordon(id, true, leaseNonce);
    await holder.metadata(id, { tier: "gold" });
    const { machine } = await holder.signal(id, "SIGKILL", leaseNonce);
    await world.clients.wait(id, [MachineState.STOPPED]);

    expect(machine).toMatchObject({ instanceId, cordoned: true });
    const listed = () => world.clients.list(world.app);
    await expect
      .poll(listed, RECOVERY)
      .toMatchObject([
        { state: MachineState.STOPPED, cordoned: true, lease: { owner: machine?.lease?.owner } },
      ]);
    expect((await listed())[0]?.config?.metadata.get("tier")).toBe("gold");
  });

  it("goes back to the version before when the new one does not become ready", async () => {
    await holder.start(id, leaseNonce);
    const before = await world.clients.get(id);
    const broken = configOf(world.image, { init: { cmd: ["sim-exit", "3"] }, guest: guest(1_024) });

    const ready = { rollback: true, readyTimeout: durationToProto(2_000) };
    await expect(holder.update(id, broken, { leaseNonce, ...ready })).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "ROLLED_BACK",
    });

    const after = await world.clients.get(id);
    expect(after.state).toBe(MachineState.STARTED);
    expect(after.config?.env.get("VERSION")).toBe("2");
    expect(after.config?.metadata).toEqual(before.config?.metadata);
    await expectRecord(512, after);
  });

  it("keeps lease, cordon and version when its host and the api are killed, and the record follows", async () => {
    const smaller = configOf(world.image, RUNS);
    const update = holder.update(id, smaller, { leaseNonce }).then(
      () => "done",
      () => "unknown",
    );
    await world.fleet.kill("api");
    await world.fleet.start("api");
    await update;
    await world.fleet.kill("hostd-1");
    await world.fleet.start("hostd-1");

    const read = () => world.clients.get(id).catch(() => undefined);
    await expect.poll(read, RECOVERY).toMatchObject({ hostStatus: 1, cordoned: true });
    await expect(holder.stop(id)).rejects.toMatchObject({ reason: "LEASE_HELD" });
    expect((await holder.lease(id)).lease?.nonce).toBe(leaseNonce);
    // Whether the update came to the host or not.
    const machine = await world.clients.get(id);
    await expectRecord(machine.config?.guest?.memoryMb ?? 0, machine);
    await holder.update(id, smaller, { leaseNonce });
    await expectRecord(256, await world.clients.get(id));
  });

  it("is anybody's again once its holder has released it", async () => {
    await holder.release(id, leaseNonce);

    await world.clients.stop(id);
    await world.clients.destroy(id);
    await expect(holder.start(id)).rejects.toMatchObject({ reason: "INVALID_STATE" });
  });

  /** The machine in the database, and the memory that counts for its organisation. */
  async function expectRecord(memoryMb: number, machine: Machine | undefined): Promise<void> {
    const read = () =>
      world.sql("select memory_mb, snapshot ->> 'instanceId' as version from machines where id = $1", [id]);
    await expect.poll(read, RECOVERY).toEqual([{ memory_mb: memoryMb, version: machine?.instanceId }]);
    const { orgs } = world.clients.raw;
    const used = () =>
      new Promise((resolve, reject) => {
        orgs.getOrganization({ slug: "personal" }, (err, response) =>
          err ? reject(err) : resolve(Number(response.organization?.memoryMbUsed)),
        );
      });
    await expect.poll(used, RECOVERY).toBe(memoryMb);
  }
});

function guest(memoryMb: number) {
  return { cpuKind: "shared", cpus: 1, memoryMb };
}
