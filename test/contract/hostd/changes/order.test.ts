import { once } from "node:events";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { machineId } from "../../../../src/hostd/machines/machine.ts";
import { durationToProto } from "../../../../src/lib/grpc/messages/duration.ts";
import { expectCleanAfterRemoval } from "../clean.ts";
import { startHost, type TestHost } from "../fixture.ts";

const OTHER = `sha256:${"e".repeat(64)}`;
const STOPPED = { code: "FAILED_PRECONDITION", reason: "INVALID_STATE", facts: { state: "stopped" } };
const LEASED = { code: "ABORTED", reason: "LEASE_HELD" };

let host: TestHost;
beforeAll(async () => {
  host = await startHost();
});
afterAll(() => host.close());
afterEach(async () => {
  host.images.gate = Promise.resolve();
  for (const { id } of host.machines.list()) await host.destroyLeased(id);
  await expectCleanAfterRemoval(host);
});

const stateOf = (id: string) => host.machines.get(machineId(id), "").state;

/** A machine whose stop is under way, and waits for its process. */
async function stopping() {
  const { id: text } = await host.created({ exec: ["sim-signal-ignore"] });
  const id = machineId(text);
  await host.start(text);
  const stopped = host.machines.stop(id, "", { timeoutMs: 300_000 });
  await expect.poll(() => stateOf(id)).toBe("stopping");
  return { id, stopped, endProcess: () => host.machines.driver(id).runtime.vm?.signal(9) };
}

describe("a stop is the later word", () => {
  test("against an update that pulls its image, and was to start the machine", async () => {
    const { id } = await host.created();
    const gate = Promise.withResolvers<void>();
    host.images.gate = gate.promise;
    const refused = expect(host.update(id, { launch: true, digest: OTHER })).rejects.toMatchObject(STOPPED);
    await expect.poll(() => host.machines.pinsOfUpdates()).toHaveLength(1);

    await host.stop(id);
    gate.resolve();

    await refused;
    expect(await host.get(id)).toMatchObject({ state: MachineState.STOPPED, imageRef: { digest: OTHER } });
  });

  test("and so is a suspend", async () => {
    const { id } = await host.created();
    await host.start(id);
    const gate = Promise.withResolvers<void>();
    host.images.gate = gate.promise;
    const refused = expect(host.update(id, { launch: true, digest: OTHER })).rejects.toMatchObject(STOPPED);
    await expect.poll(() => host.machines.pinsOfUpdates()).toHaveLength(1);

    await host.suspend(id);
    gate.resolve();

    await refused;
    expect(await host.get(id)).toMatchObject({ state: MachineState.STOPPED, imageRef: { digest: OTHER } });
    await expect.poll(() => host.sim.saved()).toEqual([]);
  });

  test("but for a start that comes after it", async () => {
    const { id } = await host.created();
    const gate = Promise.withResolvers<void>();
    host.images.gate = gate.promise;
    const updated = host.update(id, { launch: true, digest: OTHER });
    await expect.poll(() => host.machines.pinsOfUpdates()).toHaveLength(1);

    await host.stop(id);
    await host.start(id);
    gate.resolve();

    const machine = { state: MachineState.STARTED, imageRef: { digest: OTHER } };
    expect(await updated).toMatchObject({ machine });
  });

  test("against everything that is under way or waits, however many", async () => {
    const { id } = await host.created();
    const readyTimeout = durationToProto(300_000);
    const updated = host.update(id, { launch: true, rollback: true, readyTimeout });
    const all = [expect(updated).rejects.toMatchObject(STOPPED)];
    await expect.poll(() => stateOf(id)).toBe("started");
    all.push(
      expect(host.machines.restart(machineId(id), "", {}, {})).rejects.toMatchObject(STOPPED),
      expect(host.machines.update(machineId(id), "", laterUpdate(id), NEVER)).rejects.toMatchObject(STOPPED),
    );

    await host.stop(id);

    await Promise.all(all);
    expect((await host.get(id)).state).toBe(MachineState.STOPPED);
  });
});

test("a stop that cancels a restart is on disk when it is answered", async () => {
  let launches = 0;
  const slow = await startHost({
    vmm: (sim) => ({
      info: sim.info,
      async launch(request, signal) {
        launches += 1;
        // That of the restart does not end by itself.
        if (launches === 2 && !signal.aborted) await once(signal, "abort");
        return sim.launch(request, signal);
      },
      adopt: (...given) => sim.adopt(...given),
      destroy: (vmId) => sim.destroy(vmId),
      list: () => sim.list(),
      close: () => sim.close(),
    }),
  });
  const { id } = await slow.created();
  await slow.start(id);
  const refused = expect(slow.restart(id)).rejects.toMatchObject(STOPPED);
  await expect.poll(async () => (await slow.get(id)).state).toBe(MachineState.STARTING);

  await slow.stop(id);

  const written = await slow.store.outbox(0, 10_000);
  await refused;
  await slow.close();
  expect(written.at(-1)?.machine).toMatchObject({ id, state: "stopped" });
});

describe("a lease that was acquired while a call waited", () => {
  test("guards the machine against a start", async () => {
    const { id, stopped, endProcess } = await stopping();
    const refused = expect(host.machines.start(id, "", 0)).rejects.toMatchObject(LEASED);

    const { nonce } = await host.acquire(id);
    const started = host.machines.start(id, "", 0, { nonce });
    await endProcess();

    await Promise.all([refused, stopped]);
    expect((await started).machine.state).toBe("started");
  });

  test("guards it against a restart", async () => {
    const { id, stopped, endProcess } = await stopping();
    const refused = expect(host.machines.restart(id, "", {}, {})).rejects.toMatchObject(LEASED);

    await host.acquire(id);
    await endProcess();

    await Promise.all([refused, stopped]);
    expect((await host.get(id)).state).toBe(MachineState.STOPPED);
  });
});

const NEVER = new AbortController().signal;

/** An update of the same configuration, as the machine has it. */
function laterUpdate(id: string) {
  const { config, imageRef } = host.machines.get(machineId(id), "").spec;
  const how = { launch: false, skipLaunch: false, rollbackWithinMs: undefined, watchMs: 0 };
  return { config, imageRef, credentials: undefined, currentVersion: "", nonce: "", ...how };
}
