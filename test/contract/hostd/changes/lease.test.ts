import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { DestroyMachineRequest, StopMachineRequest } from "../../../../src/gen/windhover/hostd/v1/hostd.ts";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { durationToProto } from "../../../../src/lib/grpc/messages/duration.ts";
import { expectCleanAfterRemoval } from "../clean.ts";
import { hostFolder, startHost, type TestHost } from "../fixture.ts";

const SCOPE = { timeoutMs: 20_000 };
const WRONG = "0".repeat(32);

let host: TestHost;
beforeAll(async () => {
  host = await startHost();
});
afterAll(() => host.close());
afterEach(async () => {
  for (const { id } of host.machines.list()) await host.destroyLeased(id);
  await expectCleanAfterRemoval(host);
});

/** The calls that change a machine, with the nonce of a lease. */
function changes(id: string, leaseNonce: string): Readonly<Record<string, () => Promise<unknown>>> {
  const { client } = host;
  const about = { machineId: id, org: "", leaseNonce };
  return {
    start: () =>
      call(client, client.startMachine, { ...about, watch: undefined, source: "", fromProxy: false }, SCOPE),
    restart: () => host.restart(id, { leaseNonce }),
    signal: () => call(client, client.signalMachine, { ...about, signal: "SIGUSR1" }, SCOPE),
    cordon: () => call(client, client.setMachineCordon, { ...about, cordoned: true }, SCOPE),
    stop: () => call(client, client.stopMachine, StopMachineRequest.create(about), SCOPE),
    destroy: () =>
      call(client, client.destroyMachine, DestroyMachineRequest.create({ ...about, force: true }), SCOPE),
  };
}

describe("a lease", () => {
  test("guards every change, says who holds it and until when, and lets its holder through", async () => {
    const { id } = await host.created({
      exec: ["sim-signal-ignore"],
      config: { stopConfig: { timeout: durationToProto(0) } },
    });
    await host.start(id);
    const { nonce, expireTime } = await host.acquire(id);
    const was = await host.get(id);

    for (const given of ["", WRONG, nonce.slice(1)]) {
      for (const change of Object.values(changes(id, given))) {
        await expect(change()).rejects.toMatchObject({
          code: "ABORTED",
          reason: "LEASE_HELD",
          message: expect.stringContaining(`machine ID ${id} lease currently held by ann, expires at `),
          facts: { machine_id: id, owner: "ann", expire_time: expireTime?.toISOString() },
        });
      }
    }
    expect(await host.get(id)).toEqual(was);

    for (const change of Object.values(changes(id, nonce))) await change();
    expect((await host.get(id)).state).toBe(MachineState.DESTROYED);
  });

  test("is shown without its nonce, and does not hinder reads, waits and metadata", async () => {
    const { id } = await host.created();
    const lease = await host.acquire(id);

    await host.metadata(id, { set: { a: "1", b: "2" } });
    await host.metadata(id, { set: { a: "1" }, replace: true });
    await host.metadata(id, { remove: ["a"] });
    const { machine } = await host.wait(id, { states: [MachineState.CREATED] });

    expect(machine?.lease).toEqual({ ...lease, nonce: "" });
    expect((await host.get(id)).lease).toEqual({ ...lease, nonce: "" });
    const { client } = host;
    expect(await call(client, client.getLease, { machineId: id, org: "" }, SCOPE)).toEqual({ lease });
  });

  test("is refreshed with its nonce, which stays, and refused to others", async () => {
    const { id } = await host.created();
    const lease = await host.acquire(id, { ttlMs: 30_000 });

    const refreshed = await host.acquire(id, { nonce: lease.nonce });

    expect(refreshed).toMatchObject({ nonce: lease.nonce, owner: "ann", description: "deploy" });
    expect(Number(refreshed.expireTime)).toBeGreaterThan(Number(lease.expireTime));
    await expect(host.acquire(id, { owner: "ben" })).rejects.toMatchObject({ reason: "LEASE_HELD" });
    await expect(host.acquire(id, { nonce: WRONG })).rejects.toMatchObject({ reason: "LEASE_HELD" });
    await expect(host.acquire(id)).rejects.toMatchObject({ reason: "LEASE_HELD" });
  });

  test("is acquired once by one owner's calls with one request id", async () => {
    const { id } = await host.created();
    const first = await host.acquire(id, { requestId: "deploy-7", ttlMs: 30_000 });

    const again = await host.acquire(id, { requestId: "deploy-7" });

    expect(again).toMatchObject({ nonce: first.nonce, owner: "ann" });
    expect(Number(again.expireTime)).toBeGreaterThan(Number(first.expireTime));
    for (const others of [{ requestId: "deploy-8" }, { requestId: "deploy-7", owner: "ben" }, {}])
      await expect(host.acquire(id, others)).rejects.toMatchObject({ reason: "LEASE_HELD" });
    await expect(host.acquire(id, { requestId: "deploy-7", description: "backup" })).rejects.toMatchObject({
      ...{ code: "INVALID_ARGUMENT", reason: "REQUEST_ID_REUSED" },
    });
  });

  test("ends by the host's clock, and is then nobody's to refresh or release", async () => {
    const { id } = await host.created();
    const { nonce } = await host.acquire(id, { ttlMs: 1_000 });

    await expect.poll(async () => (await host.get(id)).lease, { timeout: 20_000 }).toBeUndefined();

    const { client } = host;
    const about = { machineId: id, org: "", nonce };
    for (const late of [
      () => host.acquire(id, { nonce }),
      () => call(client, client.releaseLease, about, SCOPE),
      () => call(client, client.getLease, about, SCOPE),
    ])
      await expect(late()).rejects.toMatchObject({ code: "NOT_FOUND", reason: "LEASE_NOT_FOUND" });
    expect((await host.acquire(id, { owner: "ben" })).nonce).not.toBe(nonce);
  });

  test("is released with its nonce only", async () => {
    const { id } = await host.created();
    const { nonce } = await host.acquire(id);
    const release = (given: string) =>
      call(host.client, host.client.releaseLease, { machineId: id, org: "", nonce: given }, SCOPE);

    await expect(release(WRONG)).rejects.toMatchObject({ reason: "LEASE_HELD" });
    await expect(host.start(id)).rejects.toMatchObject({ reason: "LEASE_HELD" });
    await release(nonce);

    expect((await host.start(id)).machine).toMatchObject({ state: MachineState.STARTED, lease: undefined });
  });

  test("of a new machine comes with its create, with the nonce, also when that is repeated", async () => {
    const lease = { ttl: durationToProto(60_000), owner: "ann", description: "", requestId: "" };
    const { id, lease: given } = await host.create({ lease });
    await host.prepare(id);

    expect(given?.nonce).toMatch(/^[0-9a-f]{32}$/);
    await expect(host.start(id)).rejects.toMatchObject({ reason: "LEASE_HELD" });
    expect((await host.get(id)).lease?.nonce).toBe("");
  });

  test("outlives a restart of hostd", async () => {
    const folder = hostFolder();
    const before = await startHost({ dir: folder.path });
    const { id } = await before.created();
    const { nonce } = await before.acquire(id);
    await before.close(true);

    const after = await startHost({ dir: folder.path });

    await expect(after.start(id)).rejects.toMatchObject({ reason: "LEASE_HELD" });
    expect((await after.acquire(id, { nonce })).nonce).toBe(nonce);
    await after.close();
    folder.remove();
  });
});
