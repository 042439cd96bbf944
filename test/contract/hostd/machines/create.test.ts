import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { expectCleanAfterRemoval } from "../clean.ts";
import { startHost, type TestHost } from "../fixture.ts";
import { createRequest, DIGEST, newId, present } from "../requests.ts";

const SCOPE = { timeoutMs: 20_000 };

let host: TestHost;
beforeAll(async () => {
  host = await startHost();
});
afterAll(() => host.close());
afterEach(() => expectCleanAfterRemoval(host));

describe("the states of a machine", () => {
  test("go from creating over created and started to stopped and destroyed", async () => {
    const { id, state, generation } = await host.create();
    expect([state, generation]).toEqual([MachineState.CREATING, 1n]);

    const steps = await host.prepare(id);
    expect(steps[0]?.detail).toBe("pulling 1 of 1 layers");
    const prepared = { state: MachineState.CREATED, imageBytes: 4_096n };
    expect(steps.at(-1)).toMatchObject({ imageWasLocal: false, machine: prepared });
    const started = await host.start(id);
    expect(started).toMatchObject({
      previousState: MachineState.CREATED,
      alreadyStarted: false,
      startPath: "cold",
      machine: { state: MachineState.STARTED, lastStartPath: "cold" },
    });
    const stopped = await host.stop(id);
    expect(stopped).toMatchObject({ alreadyStopped: false, machine: { state: MachineState.STOPPED } });
    expect(stopped.machine?.events[0]).toMatchObject({
      type: "exit",
      exit: { signal: "SIGTERM", exitCode: 143, requestedStop: true, oomKilled: false },
    });
    const destroyed = await host.destroy(id);

    expect(destroyed.machine?.state).toBe(MachineState.DESTROYED);
    expect((await host.get(id)).state).toBe(MachineState.DESTROYED);
    const types = (await host.get(id)).events.map(({ type }) => type);
    expect(types).toEqual(["destroy", "exit", "stop", "start", "launch"]);
    expect(host.images.pins).not.toContain(`${DIGEST} ${id}`);
    await expect(host.start(id)).rejects.toMatchObject({
      reason: "INVALID_STATE",
      facts: { state: "destroyed" },
    });
  });

  test("a stop of a machine without a process makes it stopped, and a start comes after it", async () => {
    const { id } = await host.created();

    const stopped = await host.stop(id);

    expect(stopped).toMatchObject({ alreadyStopped: false, machine: { state: MachineState.STOPPED } });
    expect(stopped.machine?.events[0]).toMatchObject({ type: "stop", source: "user" });
    expect((await host.stop(id)).alreadyStopped).toBe(true);
    expect((await host.start(id)).previousState).toBe(MachineState.STOPPED);
  });

  test("a repeated start, stop or destroy changes nothing, and says so", async () => {
    const { id } = await host.created();

    await host.start(id);
    const again = await host.start(id);
    await host.stop(id);

    expect(again).toMatchObject({
      alreadyStarted: true,
      previousState: MachineState.STARTED,
      startPath: "cold",
    });
    expect((await host.stop(id)).alreadyStopped).toBe(true);
    await host.destroy(id);
    expect((await host.destroy(id)).machine?.state).toBe(MachineState.DESTROYED);
  });

  test("a repeated create returns the machine, and needs no hold", async () => {
    const request = createRequest(host.hold());
    await call(host.client, host.client.createMachine, request, SCOPE);

    const again = await call(host.client, host.client.createMachine, { ...request, epoch: 0n }, SCOPE);

    expect(again.machine?.id).toBe(request.machine?.id);
  });

  test("a prepare can be repeated", async () => {
    const { id } = await host.created();

    const steps = await host.prepare(id);

    expect(steps).toMatchObject([{ imageWasLocal: true, machine: { state: MachineState.CREATED } }]);
  });
});

describe("create refuses", () => {
  const create = (request: ReturnType<typeof createRequest>) =>
    call(host.client, host.client.createMachine, request, SCOPE);

  test("a hold that does not exist, or has another epoch", async () => {
    const hold = host.hold();

    await expect(create(createRequest({ ...hold, epoch: hold.epoch + 1n }))).rejects.toMatchObject({
      reason: "HOLD_EXPIRED",
    });
    await expect(create(createRequest({ reservationId: "none", epoch: 1n }))).rejects.toMatchObject({
      reason: "HOLD_EXPIRED",
    });
    host.host.ledger.release([hold.reservationId]);
  });

  test("a hold that has been used for another machine", async () => {
    const hold = host.hold();
    await create(createRequest(hold));

    await expect(create(createRequest(hold))).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "HOLD_AWARDED",
    });
  });

  test("an id of another host", async () => {
    await expect(create(createRequest(host.hold(), { id: newId(8) }))).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      reason: "WRONG_HOST",
    });
  });

  test("a machine larger than its hold, and the hold can still be used", async () => {
    const hold = host.hold(256);

    await expect(create(createRequest(hold, { memoryMb: 512 }))).rejects.toMatchObject({
      reason: "INVALID_FIELDS",
    });
    expect((await create(createRequest(hold))).machine?.state).toBe(MachineState.CREATING);
  });

  test("wrong fields, all of them at once", async () => {
    const request = createRequest({ reservationId: "", epoch: 0n }, { id: "XYZ" });

    await expect(
      create({ ...request, machine: { ...present(request.machine), app: "", imageRef: undefined } }),
    ).rejects.toMatchObject({
      reason: "INVALID_FIELDS",
      violations: expect.arrayContaining([
        expect.objectContaining({ field: "reservation_id" }),
        expect.objectContaining({ field: "machine.id" }),
        expect.objectContaining({ field: "machine.app" }),
        expect.objectContaining({ field: "machine.image_ref.digest" }),
      ]),
    });
  });
});

describe("prepare", () => {
  test("passes on the steps of the image cache, and can be repeated", async () => {
    const { id } = await host.create();
    host.images.fault = new Fault("NOT_FOUND", "IMAGE_NOT_FOUND", "no such image", { reference: "nginx" });

    await expect(host.prepare(id)).rejects.toMatchObject({ code: "NOT_FOUND", reason: "IMAGE_NOT_FOUND" });
    expect((await host.get(id)).state).toBe(MachineState.CREATING);
    host.images.fault = undefined;

    expect((await host.prepare(id)).at(-1)?.machine?.state).toBe(MachineState.CREATED);
  });

  test("a start before its end is refused, a destroy ends it, and no pin is left", async () => {
    const { id } = await host.create();
    const gate = Promise.withResolvers<void>();
    host.images.gate = gate.promise;
    const preparing = host.prepare(id);
    preparing.catch(() => {});
    await expect
      .poll(
        () => host.machines.driver(host.machines.list().find((m) => m.id === id)?.id ?? never()).isPreparing,
      )
      .toBe(true);

    await expect(host.start(id)).rejects.toMatchObject({
      reason: "INVALID_STATE",
      facts: { state: "creating" },
    });
    await host.destroy(id);

    await expect(preparing).rejects.toMatchObject({ reason: "INVALID_STATE" });
    gate.resolve();
    host.images.gate = Promise.resolve();
    expect([...host.images.pins].filter((pin) => pin.endsWith(id))).toEqual([]);
  });
});

function never(): never {
  throw new Error("there is no such machine");
}
