import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { expectCleanAfterRemoval } from "../clean.ts";
import { startHost, type TestHost } from "../fixture.ts";
import { newId } from "../requests.ts";

const SCOPE = { timeoutMs: 20_000 };

let host: TestHost;
beforeAll(async () => {
  host = await startHost();
});
afterAll(() => host.close());
afterEach(() => expectCleanAfterRemoval(host));

const typesOf = (machine: { events: { type: string }[] } | undefined) =>
  machine?.events.map(({ type }) => type);

describe("a signal", () => {
  test("reaches the process", async () => {
    const { id } = await host.created({ exec: ["sim-signal-exit", "3"] });
    await host.start(id);

    await call(
      host.client,
      host.client.signalMachine,
      { machineId: id, org: "", leaseNonce: "", signal: "SIGHUP" },
      SCOPE,
    );

    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.STOPPED);
    expect((await host.get(id)).events[0]?.exit).toMatchObject({ exitCode: 3, requestedStop: false });
  });

  test("reaches a process that a stop waits for", async () => {
    const { id } = await host.created({ exec: ["sim-signal-ignore"] });
    await host.start(id);
    const stopping = host.stop(id, { timeoutMs: 300_000 });
    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.STOPPING);

    await call(
      host.client,
      host.client.signalMachine,
      { machineId: id, org: "", leaseNonce: "", signal: "SIGKILL" },
      SCOPE,
    );

    expect((await stopping).machine).toMatchObject({ events: [{ exit: { signal: "SIGKILL" } }, {}, {}, {}] });
  });

  test("needs a process and a name that Linux knows", async () => {
    const { id } = await host.created();
    const about = { machineId: id, org: "", leaseNonce: "" };
    const { client } = host;

    await expect(
      call(client, client.signalMachine, { ...about, signal: "SIGHUP" }, SCOPE),
    ).rejects.toMatchObject({ code: "FAILED_PRECONDITION", reason: "INVALID_STATE" });
    await expect(
      call(client, client.signalMachine, { ...about, signal: "SIGFOO" }, SCOPE),
    ).rejects.toMatchObject({ reason: "INVALID_FIELDS" });
  });
});

test("a cordon is set and ended, with one event for each, and twice is once", async () => {
  const { id } = await host.created();
  const cordon = (cordoned: boolean) =>
    call(
      host.client,
      host.client.setMachineCordon,
      { machineId: id, org: "", leaseNonce: "", cordoned },
      SCOPE,
    );

  await cordon(true);
  const { machine } = await cordon(true);
  expect(machine?.cordoned).toBe(true);
  await cordon(false);
  const last = (await cordon(false)).machine;

  expect(last?.cordoned).toBe(false);
  expect(typesOf(last)).toEqual(["uncordon", "cordon", "launch"]);
});

describe("metadata", () => {
  test("is set, removed and replaced without a new version or a restart", async () => {
    const { id, instanceId } = await host.created({
      config: { metadata: new Map(Object.entries({ a: "1", b: "2" })) },
    });
    await host.start(id);
    const vms = await host.sim.list();

    const { machine: patched } = await host.metadata(id, { set: { c: "3", a: "x" }, remove: ["b", "z"] });
    expect(patched?.config?.metadata).toEqual(
      new Map([
        ["a", "x"],
        ["c", "3"],
      ]),
    );
    const { machine: replaced } = await host.metadata(id, { set: { d: "" }, replace: true });

    expect(replaced?.config?.metadata).toEqual(new Map([["d", ""]]));
    expect(replaced).toMatchObject({ instanceId, state: MachineState.STARTED });
    expect(await host.sim.list()).toEqual(vms);
  });

  test("is refused for another version, and beyond its limits", async () => {
    const { id } = await host.created();
    const many = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`k${index}`, ""]));

    await expect(
      host.metadata(id, { set: { a: "1" }, currentVersion: "01HF7YAT00ABCDEFGHJKMNPQRS" }),
    ).rejects.toMatchObject({ code: "FAILED_PRECONDITION", reason: "VERSION_MISMATCH" });
    for (const set of [many, { ["k".repeat(129)]: "" }, { k: "v".repeat(2_049) }])
      await expect(host.metadata(id, { set })).rejects.toMatchObject({ reason: "INVALID_FIELDS" });
    expect((await host.get(id)).config?.metadata).toEqual(new Map());
  });

  test("outlives a restart of hostd, and is reported with the whole machine", async () => {
    const { id } = await host.created();
    await host.metadata(id, { set: { a: "1" } });

    const entries = await host.store.outbox(0, 1_000);

    const own = entries.filter(({ machine }) => machine.id === id);
    expect(own.map(({ isWhole, machine }) => [isWhole, machine.spec.config.metadata])).toEqual([
      [true, {}],
      [false, { a: "1" }],
      [true, { a: "1" }],
    ]);
  });
});

test("machines are read together, those that are there, with their newest event", async () => {
  const [first, second] = [await host.created(), await host.created()];
  await host.start(first.id);

  const { client } = host;
  const ids = [first.id, newId(), second.id];
  const { machines } = await call(client, client.getMachines, { machineIds: ids }, SCOPE);

  expect(machines).toMatchObject([
    { id: first.id, state: MachineState.STARTED, config: undefined, events: [{ type: "start" }] },
    { id: second.id, state: MachineState.CREATED },
  ]);
  const tooMany = Array.from({ length: 1_001 }, () => first.id);
  await expect(call(client, client.getMachines, { machineIds: tooMany }, SCOPE)).rejects.toMatchObject({
    reason: "INVALID_FIELDS",
  });
});

describe("a wait after an event", () => {
  test("does not count the present state, and counts what has happened since", async () => {
    const { id } = await host.created();
    await host.start(id);
    const started = (await host.get(id)).events[0]?.id ?? "";
    const waiting = host.wait(id, {
      states: [MachineState.STARTED, MachineState.STOPPED],
      afterEventId: started,
    });
    await host.stop(id);

    expect((await waiting).machine?.state).toBe(MachineState.STOPPED);
    await host.start(id);
    const { machine } = await host.wait(id, { states: [MachineState.STOPPED], afterEventId: started });
    expect(machine?.state).toBe(MachineState.STARTED);
  });

  test("for a version that the machine has not says replaced", async () => {
    const { id, instanceId } = await host.created();
    const other = "01HF7YAT00ABCDEFGHJKMNPQRS";

    await expect(host.wait(id, { states: [MachineState.CREATED], instanceId: other })).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "REPLACED",
      message: expect.stringContaining("replaced"),
    });
    expect((await host.wait(id, { states: [MachineState.REPLACED], instanceId: other })).machine?.id).toBe(
      id,
    );
    expect((await host.wait(id, { states: [MachineState.CREATED], instanceId })).machine?.id).toBe(id);
  });
});
