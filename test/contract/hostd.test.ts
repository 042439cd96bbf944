import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MachineState } from "../../src/gen/windhover/machines/v1/machine.ts";
import { call } from "../../src/lib/client.ts";
import { createRequest, newId, present, startHost, type TestHost } from "./hostd-fixture.ts";

let host: TestHost;

beforeAll(async () => {
  host = await startHost();
});
afterAll(async () => {
  await host.close();
});

describe("a machine's life", () => {
  test("goes from creating over created and started to stopped and destroyed", async () => {
    const { id } = await host.create();

    expect((await host.get(id)).state).toBe(MachineState.CREATING);
    const steps = await host.prepare(id);
    expect(steps.at(-1)?.machine?.state).toBe(MachineState.CREATED);
    expect(steps[0]?.detail).toBe("pulling 1 of 1 layers");
    const started = await host.start(id);
    expect(started.machine?.state).toBe(MachineState.STARTED);
    expect(started.previousState).toBe(MachineState.CREATED);
    const stopped = await host.stop(id);
    expect(stopped.machine?.state).toBe(MachineState.STOPPED);
    expect(present(stopped.machine?.events[0]?.exit)).toMatchObject({
      signal: "SIGTERM",
      exitCode: 143,
      requestedStop: true,
    });
    const destroyed = await host.destroy(id);
    expect(destroyed.machine?.state).toBe(MachineState.DESTROYED);
    expect((await host.get(id)).state).toBe(MachineState.DESTROYED);
  });
});
