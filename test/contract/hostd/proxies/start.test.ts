import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SetMachineCordonRequest } from "../../../../src/gen/windhover/hostd/v1/hostd.ts";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { durationToProto } from "../../../../src/lib/grpc/messages/duration.ts";
import type { TestHost } from "../fixture.ts";
import { SCOPE, startProxiedHost, useProxies } from "./proxied-host.ts";

const { STARTED } = MachineState;

let host: TestHost;
beforeAll(async () => {
  host = await startProxiedHost();
});
afterAll(() => host.close());
const { started, stopIdle, startFromProxy } = useProxies(() => host);

describe("a start by a proxy", () => {
  test("needs no lease, and its event names the proxy", async () => {
    const { id } = await host.created();
    await host.acquire(id);

    const { machine } = await startFromProxy(id);

    expect(machine?.state).toBe(STARTED);
    expect(machine?.events[0]).toMatchObject({ type: "start", source: "proxy" });
  });

  test("does not start a cordoned machine", async () => {
    const { id } = await host.created();
    const request = SetMachineCordonRequest.create({ machineId: id, cordoned: true });
    await call(host.client, host.client.setMachineCordon, request, SCOPE);

    await expect(startFromProxy(id)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "MACHINE_CORDONED",
    });
    expect((await host.start(id)).machine?.state).toBe(STARTED);
  });

  test("that comes during an idle stop starts the machine again", async () => {
    const id = await started({ stopConfig: { timeout: durationToProto(50) } });
    const stopping = stopIdle(id);
    await expect.poll(async () => (await host.get(id)).state).not.toBe(STARTED);

    const { machine } = await startFromProxy(id);

    expect(machine?.state).toBe(STARTED);
    await stopping;
  });
});
