import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { MachineState } from "../../../../../src/gen/windhover/machines/v1/machine.ts";
import { expectCleanAfterRemoval } from "../../clean.ts";
import { hostFolder, startHost, type TestHost } from "../../fixture.ts";
import { ENDS, policy, stateWait } from "./restarts.ts";

let host: TestHost;
beforeAll(async () => {
  host = await startHost();
});
afterAll(() => host.close());
afterEach(() => expectCleanAfterRemoval(host));
const becomes = stateWait(() => host);

describe("a machine that destroys itself", () => {
  const config = { autoDestroy: true };

  test("does so when its process has ended", async () => {
    const { id } = await host.created({ exec: ENDS, config });
    await host.start(id, { watchMs: 0 });

    const machine = await becomes(id, MachineState.DESTROYED);

    expect(machine.events).toMatchObject([
      { type: "destroy", source: "hostd" },
      { type: "exit" },
      { type: "start" },
      { type: "launch" },
    ]);
  });

  test("does so after a stop, and its restarts come first", async () => {
    const { id } = await host.created({ config });
    await host.start(id);
    await host.stop(id);
    await becomes(id, MachineState.DESTROYED);
    const failing = await host.created({ exec: ENDS, config: { ...config, ...policy("on-failure", 1) } });
    await host.start(failing.id, { watchMs: 0 });

    const machine = await becomes(failing.id, MachineState.DESTROYED);

    expect(machine.events.filter(({ type }) => type === "exit")).toHaveLength(2);
  });

  test("stays when it is stopped before it was ever started", async () => {
    const { id } = await host.created({ config });

    expect((await host.stop(id)).machine?.state).toBe(MachineState.STOPPED);

    expect((await host.start(id)).machine?.state).toBe(MachineState.STARTED);
    await host.stop(id);
    await becomes(id, MachineState.DESTROYED);
  });

  test("stays as long as it has not run, and does so when hostd was away at the end", async () => {
    const folder = hostFolder();
    const before = await startHost({ dir: folder.path });
    const idle = await before.created({ config });
    const { id } = await before.created({ config });
    await before.start(id);
    await before.close(true);
    for (const vmId of await before.sim.list()) await before.sim.destroy(vmId);

    const after = await startHost({ dir: folder.path });

    await becomes(id, MachineState.DESTROYED, after);
    expect((await after.get(idle.id)).state).toBe(MachineState.CREATED);
    await after.close();
    folder.remove();
  });
});
