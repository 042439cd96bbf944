import { afterEach, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { Scheduling } from "../../../../src/gen/windhover/scheduler/v1/host.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { hostFolder, startHost, type TestHost } from "../fixture.ts";
import { createRequest } from "../requests.ts";

const scope = { timeoutMs: 20_000 };

let host: TestHost;
afterEach(() => host.close());

const set = (scheduling: Scheduling) => call(host.client, host.client.setScheduling, { scheduling }, scope);
const said = async () => (await call(host.client, host.client.getHost, {}, scope)).status?.scheduling;

test("a host is open at first, and a change returns the previous scheduling", async () => {
  host = await startHost();
  expect(await said()).toBe(Scheduling.OPEN);

  expect(await set(Scheduling.CORDONED)).toEqual({ previous: Scheduling.OPEN });
  expect(await set(Scheduling.DRAINING)).toEqual({ previous: Scheduling.CORDONED });

  expect(await said()).toBe(Scheduling.DRAINING);
  await expect(set(Scheduling.UNSPECIFIED)).rejects.toMatchObject({
    reason: "INVALID_FIELDS",
    violations: [{ field: "scheduling" }],
  });
});

test("cordoned, it starts its machines and takes awards of its holds", async () => {
  host = await startHost();
  const { id } = await host.created();
  const hold = host.hold();
  await set(Scheduling.CORDONED);

  expect((await host.start(id)).machine?.state).toBe(MachineState.STARTED);
  expect(await call(host.client, host.client.createMachine, createRequest(hold), scope)).toMatchObject({
    machine: { state: MachineState.CREATING },
  });
});

test("draining, it starts and takes nothing while running machines go on; opened again it does", async () => {
  host = await startHost();
  const running = await host.created();
  await host.start(running.id);
  const { id } = await host.created();
  const hold = host.hold();
  await set(Scheduling.DRAINING);

  const refused = { code: "FAILED_PRECONDITION", reason: "HOST_DRAINING" };
  await expect(host.start(id)).rejects.toMatchObject(refused);
  await expect(
    call(host.client, host.client.createMachine, createRequest(hold), scope),
  ).rejects.toMatchObject(refused);
  expect((await host.get(running.id)).state).toBe(MachineState.STARTED);
  expect(await host.start(running.id)).toMatchObject({ alreadyStarted: true });
  expect((await host.get(id)).state).toBe(MachineState.CREATED);

  await set(Scheduling.OPEN);
  expect((await host.start(id)).machine?.state).toBe(MachineState.STARTED);
});

test("scheduling survives a restart", async () => {
  const folder = hostFolder();
  try {
    host = await startHost({ dir: folder.path });
    await set(Scheduling.CORDONED);
    await host.close(true);

    host = await startHost({ dir: folder.path });

    expect(await said()).toBe(Scheduling.CORDONED);
  } finally {
    folder.remove();
  }
});
