import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { updateFromProto } from "../../../../src/hostd/convert-request.ts";
import { machineId } from "../../../../src/hostd/machines/machine.ts";
import { expectCleanAfterRemoval } from "../clean.ts";
import { hostFolder, startHost, type TestHost } from "../fixture.ts";
import { updateRequest } from "../requests.ts";

const OTHER = `sha256:${"e".repeat(64)}`;
const KEY = { requestId: "deploy-1", requestHash: "a" };

let host: TestHost;
beforeAll(async () => {
  host = await startHost();
});
afterAll(() => host.close());
afterEach(() => expectCleanAfterRemoval(host));

const versionOf = async (id: string) => (await host.get(id)).instanceId;

describe("an update with a request id", () => {
  test("is made once, whatever version its repeats expect", async () => {
    const { id, instanceId: currentVersion } = await host.created();
    await host.start(id);

    const first = await host.update(id, { ...KEY, currentVersion });
    await host.stop(id);
    const again = await host.update(id, { ...KEY, currentVersion });

    expect(first.machine?.instanceId).not.toBe(currentVersion);
    expect(again.machine).toMatchObject({
      ...{ instanceId: first.machine?.instanceId, state: MachineState.STOPPED },
    });
  });

  test("is made once when it is asked for several times at once", async () => {
    const { id } = await host.created();
    await host.start(id);

    const all = await Promise.all([1, 2, 3].map(() => host.update(id, KEY)));

    expect(new Set(all.map(({ machine }) => machine?.instanceId)).size).toBe(1);
    const { events } = await host.get(id);
    expect(events.filter(({ type }) => type === "update")).toHaveLength(1);
  });

  test("is not made over a later one by a late repeat", async () => {
    const { id } = await host.created();
    await host.update(id, KEY);
    await host.update(id, { exec: ["/bin/later"] });
    const later = await versionOf(id);

    expect((await host.update(id, KEY)).machine).toMatchObject({
      ...{ instanceId: later, config: { init: { exec: ["/bin/later"] } } },
    });
  });

  test("stands for one update, also while it is under way, and needs the lease as any", async () => {
    const { id } = await host.created();
    await host.start(id);
    const gate = Promise.withResolvers<void>();
    host.images.gate = gate.promise;
    const updating = host.update(id, { ...KEY, digest: OTHER });
    await expect.poll(() => host.machines.pinsOfUpdates()).toHaveLength(1);
    const reused = { reason: "REQUEST_ID_REUSED", facts: { machine_id: id, request_id: "deploy-1" } };

    await expect(host.update(id, { ...KEY, requestHash: "b" })).rejects.toMatchObject(reused);
    gate.resolve();
    await updating;
    await expect(host.update(id, { ...KEY, requestHash: "b" })).rejects.toMatchObject(reused);
    await host.acquire(id);
    await expect(host.update(id, KEY)).rejects.toMatchObject({ reason: "LEASE_HELD" });
    await host.destroyLeased(id);
  });

  test("is made by a repeat when the first caller has gone during the pull", async () => {
    const { id } = await host.created();
    await host.start(id);
    const gate = Promise.withResolvers<void>();
    host.images.gate = gate.promise;
    const request = updateFromProto(updateRequest(id, { ...KEY, digest: OTHER }));
    const [leaves, stays] = [new AbortController(), new AbortController()];
    const first = host.machines.update(machineId(id), "acme", request, leaves.signal);
    const second = host.machines.update(machineId(id), "acme", request, stays.signal);
    await expect.poll(() => host.machines.pinsOfUpdates()).toHaveLength(1);
    await new Promise(setImmediate);

    leaves.abort();
    await expect(first).rejects.toThrow();
    gate.resolve();

    expect((await second).spec.imageRef.digest).toBe(OTHER);
    expect((await host.get(id)).events.filter(({ type }) => type === "update")).toHaveLength(1);
  });

  test("is made again after a rollback", async () => {
    const { id } = await host.created();
    await host.start(id);
    const fails = { ...KEY, exec: ["sim-exec-fail"], rollback: true };

    await expect(host.update(id, fails)).rejects.toMatchObject({ reason: "ROLLED_BACK" });
    await expect(host.update(id, fails)).rejects.toMatchObject({ reason: "ROLLED_BACK" });
  });
});

test("a host that is started anew knows which updates were made", async () => {
  const folder = hostFolder();
  const before = await startHost({ dir: folder.path });
  const { id } = await before.created();
  const { machine } = await before.update(id, KEY);
  await before.close(true);

  const after = await startHost({ dir: folder.path });

  expect((await after.update(id, KEY)).machine?.instanceId).toBe(machine?.instanceId);
  await after.close();
  folder.remove();
});
