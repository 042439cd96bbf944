import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { durationToProto } from "../../../../src/lib/grpc/messages/duration.ts";
import { expectCleanAfterRemoval } from "../clean.ts";
import { startHost, type TestHost } from "../fixture.ts";

const SCOPE = { timeoutMs: 20_000 };
const LONG = { signal: "", timeout: durationToProto(300_000) };

let host: TestHost;
beforeAll(async () => {
  host = await startHost();
});
afterAll(() => host.close());
afterEach(() => expectCleanAfterRemoval(host));

describe("a restart", () => {
  test("stops the process and starts it, with an event for each", async () => {
    const { id } = await host.created();
    await host.start(id);
    const [before] = await host.sim.list();

    const { machine } = await host.restart(id);

    expect(machine).toMatchObject({
      state: MachineState.STARTED,
      restartCount: 0,
      events: [
        { type: "start", source: "user" },
        {
          type: "exit",
          status: MachineState.RESTARTING,
          exit: { signal: "SIGTERM", requestedStop: true, restarting: true },
        },
        { type: "restart", status: MachineState.RESTARTING, source: "user" },
        { type: "start" },
        { type: "launch" },
      ],
    });
    await host.host.teardowns.all();
    const after = await host.sim.list();
    expect(after).toHaveLength(1);
    expect(after).not.toEqual([before]);
    expect(host.host.ledger.sums().allocated.memoryMb).toBe(256);
  });

  test("starts a machine that does not run", async () => {
    const { id } = await host.created();

    expect((await host.restart(id)).machine?.state).toBe(MachineState.STARTED);
    await host.stop(id);
    expect((await host.restart(id)).machine?.state).toBe(MachineState.STARTED);
  });

  test("takes signal and grace from the request, or kills at once", async () => {
    const { id } = await host.created({ exec: ["sim-signal-ignore"] });
    await host.start(id);

    const hurried = await host.restart(id, { signal: "SIGHUP", timeout: durationToProto(20) });
    expect(hurried.machine?.events[1]?.exit).toMatchObject({ signal: "SIGKILL" });
    const forced = await host.restart(id, { forceStop: true, timeout: durationToProto(300_000) });

    expect(forced.machine?.events[1]?.exit).toMatchObject({ signal: "SIGKILL" });
  });

  test("keeps its capacity on a full host", async () => {
    const { capacity } = host.host.ledger.sums();
    const { id } = await host.created();
    await host.start(id);
    host.hold(capacity.memoryMb - host.host.ledger.sums().running.memoryMb);

    const { machine } = await host.restart(id);

    expect(machine?.state).toBe(MachineState.STARTED);
    expect(host.host.ledger.sums().free.memoryMb).toBe(0);
  });

  test.each([
    ["a restart", (id: string) => host.restart(id)],
    ["an update", (id: string) => host.update(id)],
  ])("or an update keeps its capacity beside other changes: %s", async (_, change) => {
    const exec = ["sim-signal-ignore"];
    const { id } = await host.created({ exec, config: { stopConfig: LONG } });
    await host.start(id);
    const { ledger } = host.host;
    const reserved: boolean[] = [];
    const spies = (["reserve", "resize", "unreserve"] as const).map((name) => {
      const method: (...args: never[]) => unknown = ledger[name].bind(ledger);
      return vi.spyOn(ledger, name).mockImplementation((...args: unknown[]) => {
        reserved.push(name !== "unreserve");
        return method(...(args as never[]));
      });
    });

    const other = host.metadata(id, { set: { a: "1" } });
    const changing = change(id);
    changing.catch(() => {});
    await other;
    await expect.poll(async () => (await host.get(id)).state).not.toBe(MachineState.STARTED);

    for (const spy of spies) spy.mockRestore();
    expect(reserved.at(-1)).toBe(true);
    await host.destroy(id, { force: true });
    await Promise.allSettled([changing]);
  });

  test("is cut short by a stop, and a start waits for it", async () => {
    const { id } = await host.created({ exec: ["sim-signal-ignore"] });
    await host.start(id);
    const restarting = host.restart(id, { timeout: durationToProto(300_000) });
    restarting.catch(() => {});
    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.RESTARTING);

    const stopped = await host.stop(id, { timeoutMs: 0 });

    await expect(restarting).rejects.toMatchObject({ reason: "INVALID_STATE" });
    expect(stopped.machine?.state).toBe(MachineState.STOPPED);
    await host.start(id);
    const again = host.restart(id, { timeout: durationToProto(300_000) });
    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.RESTARTING);
    const started = host.start(id);
    await host.restart(id, { forceStop: true });
    expect((await started).machine?.state).toBe(MachineState.STARTED);
    expect((await again).machine?.state).toBe(MachineState.STARTED);
  });

  test("does not keep a destroy waiting for a stop that it comes after", async () => {
    const { id } = await host.created({ exec: ["sim-signal-ignore"] });
    await host.start(id);
    const first = host.stop(id, { timeoutMs: 300_000 });
    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.STOPPING);
    const restarting = host.restart(id);
    restarting.catch(() => {});
    // Calls of one connection arrive in their order.
    await host.get(id);

    await host.destroy(id, { force: true });

    await first;
    await expect(restarting).rejects.toMatchObject({ reason: "INVALID_STATE" });
    expect(await host.sim.list()).toEqual([]);
  });

  test("and a stop yield to a destroy that comes at the same moment", async () => {
    for (const first of [host.stop, host.restart]) {
      const { id } = await host.created({ exec: ["sim-signal-ignore"], config: { stopConfig: LONG } });
      await host.start(id);
      const stopping = first(id);
      stopping.catch(() => {});

      await host.destroy(id, { force: true });

      await Promise.allSettled([stopping]);
      expect(await host.sim.list()).toEqual([]);
    }
  });

  test("and a start that waits for it yield to a stop that comes after them", async () => {
    const { id } = await host.created({ exec: ["sim-signal-ignore"] });
    await host.start(id);
    const restarting = host.restart(id, { timeout: durationToProto(300_000) });
    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.RESTARTING);
    const both = Promise.allSettled([restarting, host.start(id)]);
    await host.get(id);

    await host.stop(id, { timeoutMs: 0 });

    for (const each of await both)
      expect(each).toMatchObject({ status: "rejected", reason: { reason: "INVALID_STATE" } });
    expect((await host.get(id)).state).toBe(MachineState.STOPPED);
  });

  test("is not begun on a host that drains", async () => {
    const { id } = await host.created();
    await host.start(id);
    const drained = await startHost();
    const { id: other } = await drained.created();
    await drained.start(other);
    const { client } = drained;
    await call(client, client.setScheduling, { scheduling: 3 }, SCOPE);

    await expect(drained.restart(other)).rejects.toMatchObject({ reason: "HOST_DRAINING" });

    expect((await drained.get(other)).state).toBe(MachineState.STARTED);
    await drained.close();
  });

  test("of a machine whose program cannot be run any more says so", async () => {
    const { id } = await host.created({ exec: ["sim-exec-fail"] });

    await expect(host.restart(id)).rejects.toMatchObject({ reason: "EXEC_FAILED" });

    expect((await host.get(id)).state).toBe(MachineState.FAILED);
  });
});
