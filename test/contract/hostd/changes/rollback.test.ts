import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { LaunchError } from "../../../../src/hostd/vmm/vmm.ts";
import { durationToProto } from "../../../../src/lib/grpc/messages/duration.ts";
import { expectCleanAfterRemoval } from "../clean.ts";
import { startHost, type TestHost } from "../fixture.ts";

const OTHER = `sha256:${"e".repeat(64)}`;
const READY = durationToProto(200);
/** Longer than a process of these tests runs, however slow the machine is. */
const NOT_READY = durationToProto(60_000);

let host: TestHost;
beforeAll(async () => {
  host = await startHost();
});
afterAll(() => host.close());
afterEach(() => expectCleanAfterRemoval(host));

const pinsOf = (id: string) => [...host.images.pins].filter((pin) => pin.endsWith(id));

describe("an update with a rollback", () => {
  test.each([
    ["cannot be run", ["sim-exec-fail"], "EXEC_FAILED"],
    ["ends before it counts as ready", ["sim-exit", "1", "sim-run-for", "20"], "PROCESS_ENDED"],
    ["is lost", ["sim-lost", "sim-run-for", "20"], "VM_LOST"],
  ])("brings the old version back, and runs it, when the new one %s", async (_, exec, reason) => {
    const services = [{ protocol: "tcp", internalPort: 80 }];
    const { id, instanceId } = await host.created({ config: { services } });
    await host.start(id);
    const was = await host.get(id);

    const update = host.update(id, {
      exec,
      digest: OTHER,
      memoryMb: 512,
      rollback: true,
      readyTimeout: NOT_READY,
    });

    await expect(update).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "ROLLED_BACK",
      facts: { reason, instance_id: expect.not.stringMatching(instanceId) },
    });
    const machine = await host.get(id);
    expect(machine).toMatchObject({
      ...{ state: MachineState.STARTED, instanceId, config: was.config, imageRef: was.imageRef },
      ...{ serviceAddresses: was.serviceAddresses },
    });
    expect(machine.events.slice(0, 3)).toMatchObject([
      { type: "start", instanceId },
      { type: "update", source: "hostd", reason: "ROLLED_BACK", instanceId },
      { status: MachineState.UPDATING },
    ]);
    await host.host.teardowns.all();
    await expect.poll(() => pinsOf(id)).toEqual([expect.stringContaining("sha256:d")]);
    expect(host.host.ledger.sums().allocated).toEqual({ cpus: 1, memoryMb: 256, diskMb: 1_024 });
  });

  test("brings a machine that did not run back to where it was", async () => {
    const { id, instanceId } = await host.created();

    await expect(
      host.update(id, { exec: ["sim-exit", "1"], launch: true, rollback: true, readyTimeout: NOT_READY }),
    ).rejects.toMatchObject({ reason: "ROLLED_BACK" });

    expect(await host.get(id)).toMatchObject({ state: MachineState.CREATED, instanceId });
    await host.host.teardowns.all();
    expect(await host.sim.list()).toEqual([]);
  });

  test("says so when the old version does not run any more either", async () => {
    let launches = 0;
    const own = await startHost({
      vmm: (sim) => ({
        info: sim.info,
        launch: async (...given) => {
          launches += 1;
          if (launches === 3) throw new LaunchError("vmm", "simulated", "no memory");
          return sim.launch(...given);
        },
        adopt: (...given) => sim.adopt(...given),
        destroy: (vmId) => sim.destroy(vmId),
        list: () => sim.list(),
        close: () => sim.close(),
      }),
    });
    const { id, instanceId } = await own.created();
    await own.start(id);

    const update = own.update(id, { exec: ["sim-exec-fail"], rollback: true, readyTimeout: NOT_READY });

    await expect(update).rejects.toMatchObject({
      reason: "ROLLED_BACK",
      message: expect.stringContaining("could not be started"),
      facts: { state: "failed" },
    });
    expect(await own.get(id)).toMatchObject({ state: MachineState.FAILED, instanceId });
    await own.close();
  });

  test("keeps a version whose process runs long enough, and gives up what it kept of the old one", async () => {
    const { id, instanceId } = await host.created();
    await host.start(id);

    const { machine } = await host.update(id, {
      memoryMb: 512,
      digest: OTHER,
      rollback: true,
      readyTimeout: READY,
    });

    expect(machine?.state).toBe(MachineState.STARTED);
    expect(machine?.instanceId).not.toBe(instanceId);
    await expect.poll(() => pinsOf(id)).toEqual([`${OTHER} ${id}`]);
    expect(host.host.store.get(id)?.spec.previous).toBeUndefined();
  });

  test("is over for a start when the new process runs, and keeps the new version when it is stopped meanwhile", async () => {
    const { id, instanceId } = await host.created();
    await host.start(id);
    const updating = host.update(id, { rollback: true, readyTimeout: NOT_READY });
    updating.catch(() => {});
    await expect
      .poll(
        async () =>
          (await host.get(id)).events[0]?.type === "start" && (await host.get(id)).instanceId !== instanceId,
      )
      .toBe(true);
    expect((await host.start(id)).alreadyStarted).toBe(true);

    const { machine } = await host.stop(id);

    await expect(updating).rejects.toMatchObject({ reason: "INVALID_STATE" });
    expect(machine?.state).toBe(MachineState.STOPPED);
    expect(machine?.instanceId).not.toBe(instanceId);
  });
});
