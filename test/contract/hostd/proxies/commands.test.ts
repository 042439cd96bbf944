import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type ExecMachineRequest,
  type ExecMachineResponse,
  StopMachineRequest,
} from "../../../../src/gen/windhover/hostd/v1/hostd.ts";
import { ExecStart } from "../../../../src/gen/windhover/machines/v1/exec.ts";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { openDuplex } from "../../../../src/lib/grpc/calls/duplex.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { durationToProto } from "../../../../src/lib/grpc/messages/duration.ts";
import { startHost, type TestHost } from "../fixture.ts";

const SCOPE = { timeoutMs: 20_000 };
const IDLE_MS = 600_000;
const clock = {
  aheadMs: 0,
  now: () => Date.now() + clock.aheadMs,
  monotonicMs: () => performance.now() + clock.aheadMs,
};

let host: TestHost;
beforeAll(async () => {
  host = await startHost({ clock });
});
afterAll(() => host.close());

function stopIdle(machineId: string) {
  const request = { machineId, ifUnusedFor: durationToProto(IDLE_MS), source: "proxy" };
  return call(host.client, host.client.stopMachine, StopMachineRequest.create(request), SCOPE);
}

test("a machine is not idle while a command runs in it, and as idle as before afterwards", async () => {
  const { id: machineId } = await host.created();
  await host.start(machineId);
  const commands = await Promise.all(
    [1, 2].map(async () => {
      const stream = openDuplex<ExecMachineRequest, ExecMachineResponse>(
        ...([host.client, host.client.execMachine, SCOPE] as const),
      );
      const value = ExecStart.fromPartial({ command: ["sleep", "1000"] });
      await stream.write({ org: "", request: { machineId, message: { $case: "start", value } } });
      const messages = stream.messages[Symbol.asyncIterator]();
      await messages.next();
      return async () => {
        stream.cancel();
        await messages.next().catch(() => {});
      };
    }),
  );
  clock.aheadMs += IDLE_MS;

  for (const end of commands) {
    await expect(stopIdle(machineId)).rejects.toMatchObject({
      reason: "MACHINE_IN_USE",
      message: expect.stringContaining("a command runs in it"),
    });
    await end();
  }

  await expect
    .poll(() => stopIdle(machineId).catch(() => undefined))
    .toMatchObject({
      machine: { state: MachineState.STOPPED },
    });
});
