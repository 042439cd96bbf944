import { once } from "node:events";
import * as net from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { HostServiceClient } from "../../src/gen/windhover/hostd/v1/hostd.ts";
import { MachineState } from "../../src/gen/windhover/machines/v1/machine.ts";
import { mintToken } from "../../src/lib/auth.ts";
import { call, connect, openStream } from "../../src/lib/client.ts";
import { Fault } from "../../src/lib/fault.ts";
import {
  createRequest,
  DIGEST,
  duration,
  KEYS,
  newId,
  present,
  startHost,
  type TestHost,
} from "./hostd-fixture.ts";

const SCOPE = { timeoutMs: 20_000 };
const UNKNOWN = newId();

let host: TestHost;
beforeAll(async () => {
  host = await startHost();
});
afterAll(async () => {
  await host.close();
});
afterEach(async () => {
  host.images.fault = undefined;
  for (const { id, state } of host.machines.list()) {
    if (state !== "destroyed") await host.destroy(id, { force: true });
  }
  host.host.ledger.release(host.host.ledger.holds().map(({ reservationId }) => reservationId));
  await host.host.teardowns.all();
  expect(await host.sim.list()).toEqual([]);
  expect((await host.getHost()).status?.allocated).toEqual({ cpus: 0, memoryMb: 0n, diskMb: 0n });
});

describe("a machine's life", () => {
  test("goes from creating over created and started to stopped and destroyed", async () => {
    const { id, state, generation } = await host.create();
    expect([state, generation]).toEqual([MachineState.CREATING, 1n]);

    const steps = await host.prepare(id);
    expect(steps[0]?.detail).toBe("pulling 1 of 1 layers");
    expect(steps.at(-1)).toMatchObject({ imageWasLocal: false, machine: { state: MachineState.CREATED } });
    const started = await host.start(id);
    expect(started).toMatchObject({
      previousState: MachineState.CREATED,
      alreadyStarted: false,
      way: "cold",
      machine: { state: MachineState.STARTED, lastStartWay: "cold" },
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

  test("a machine that is started, stopped or destroyed already stays so, and says so", async () => {
    const { id } = await host.created();

    expect((await host.stop(id)).alreadyStopped).toBe(true);
    await host.start(id);
    const again = await host.start(id);
    await host.stop(id);

    expect(again).toMatchObject({ alreadyStarted: true, previousState: MachineState.STARTED, way: "cold" });
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

  test("preparing again is fine", async () => {
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
  test("passes on what the image cache says, and can be repeated", async () => {
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

describe("start", () => {
  test("two at once are one start", async () => {
    const { id } = await host.created();

    const [first, second] = await Promise.all([host.start(id), host.start(id)]);

    expect(first.machine?.generation).toBe(second.machine?.generation);
    expect(first.machine?.events.filter(({ type }) => type === "start")).toHaveLength(1);
    expect(await host.sim.list()).toHaveLength(1);
  });

  test("a process that ends at once is told by the answer", async () => {
    const { id } = await host.created({ exec: ["sim-exit", "3"] });

    const { machine } = await host.start(id, { settleMs: 2_000 });

    expect(machine?.state).toBe(MachineState.STOPPED);
    expect(machine?.events[0]).toMatchObject({
      type: "exit",
      exit: { exitCode: 3, signal: "", requestedStop: false },
    });
  });

  test.each([
    ["not_found", "there is no such file in the image"],
    ["not_executable", "it is not executable"],
  ])(
    "a program that cannot be run (%s) is EXEC_FAILED, and the machine is failed and may be started again",
    async (why, text) => {
      const { id } = await host.created({ exec: ["/bin/x", "sim-exec-fail", why] });

      await expect(host.start(id)).rejects.toMatchObject({
        code: "FAILED_PRECONDITION",
        reason: "EXEC_FAILED",
        facts: { path: "/bin/x", why },
      });

      const machine = await host.get(id);
      expect(machine.state).toBe(MachineState.FAILED);
      expect(machine.events[0]).toMatchObject({
        type: "failure",
        reason: "EXEC_FAILED",
        message: expect.stringContaining(text),
      });
      await expect(host.start(id)).rejects.toMatchObject({ reason: "EXEC_FAILED" });
    },
  );

  test("an image without anything to run is EXEC_FAILED too", async () => {
    const before = host.images.config;
    host.images.config = { ...before, entrypoint: [], cmd: [] };
    const { id } = await host.created();
    host.images.config = before;

    await expect(host.start(id)).rejects.toMatchObject({
      reason: "EXEC_FAILED",
      facts: { why: "no_command" },
    });
    expect((await host.get(id)).state).toBe(MachineState.FAILED);
  });

  test("a VM that cannot be brought up is START_FAILED, and the next start may succeed", async () => {
    const { id } = await host.created();
    host.sim.failNext("launch");

    await expect(host.start(id)).rejects.toMatchObject({ code: "INTERNAL", reason: "START_FAILED" });
    expect((await host.get(id)).events[0]).toMatchObject({ type: "failure", reason: "START_FAILED" });

    expect((await host.start(id)).machine?.state).toBe(MachineState.STARTED);
  });

  test("a full host refuses with INSUFFICIENT_CAPACITY and the machine stays as it was", async () => {
    const big = await host.created({ memoryMb: 1_536 });
    const other = await host.created({ memoryMb: 1_024 });
    await host.start(big.id);

    await expect(host.start(other.id)).rejects.toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "INSUFFICIENT_CAPACITY",
      facts: { asked_memory_mb: "1024", free_memory_mb: "512" },
    });

    const machine = await host.get(other.id);
    expect([machine.state, machine.generation]).toEqual([MachineState.CREATED, other.generation]);
    await host.stop(big.id);
    expect((await host.start(other.id)).machine?.state).toBe(MachineState.STARTED);
  });

  test("what was kept for the launch is there although the host has been filled meanwhile", async () => {
    const kept = await host.created({ memoryMb: 1_024, keepForLaunch: true });
    const filler = host.hold(1_024);

    expect((await host.start(kept.id)).machine?.state).toBe(MachineState.STARTED);

    host.host.ledger.release([filler.reservationId]);
  });

  test("an unknown machine, one of another organisation and a malformed id", async () => {
    const { id } = await host.created();

    await expect(host.start(UNKNOWN)).rejects.toMatchObject({
      code: "NOT_FOUND",
      reason: "MACHINE_NOT_FOUND",
    });
    await expect(host.start(id, { org: "evil" })).rejects.toMatchObject({
      reason: "MACHINE_NOT_FOUND",
      message: `there is no machine ${id}`,
    });
    await expect(host.start("nope")).rejects.toMatchObject({ reason: "INVALID_FIELDS" });
    await expect(host.start(id, { settleMs: 10_001 })).rejects.toMatchObject({ reason: "INVALID_FIELDS" });
    expect((await host.start(id, { org: "acme" })).machine?.state).toBe(MachineState.STARTED);
  });
});

describe("stop", () => {
  test("a start right after it waits until the last VM is gone, and is counted", async () => {
    const { id } = await host.created();
    await host.start(id);
    host.sim.failNext("destroy");
    await host.stop(id);

    const { machine } = await host.start(id);

    expect(machine?.state).toBe(MachineState.STARTED);
    expect(await host.sim.list()).toHaveLength(1);
    await host.host.teardowns.all();
    expect(host.host.ledger.sums().running).toEqual({ cpus: 1, memoryMb: 256, diskMb: 0 });
  });

  test("a stop during a start ends the start, and both are told", async () => {
    const { id } = await host.created({ exec: ["sim-hang"] });
    const starting = host.start(id);
    starting.catch(() => {});
    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.STARTING);

    const stopped = await host.stop(id);

    await expect(starting).rejects.toMatchObject({ code: "FAILED_PRECONDITION", reason: "INVALID_STATE" });
    expect(stopped.machine).toMatchObject({
      state: MachineState.STOPPED,
      events: [{ type: "stop" }, { type: "launch" }],
    });
  });

  test("a process that ignores its signal is killed after the grace", async () => {
    const { id } = await host.created({ exec: ["sim-signal-ignore"] });
    await host.start(id);

    const { machine } = await host.stop(id, { timeoutMs: 50 });

    expect(machine?.events[0]?.exit).toMatchObject({ signal: "SIGKILL", exitCode: 137, requestedStop: true });
  });

  test("a second stop may hurry the first", async () => {
    const { id } = await host.created({ exec: ["sim-signal-ignore"] });
    await host.start(id);
    const patient = host.stop(id, { timeoutMs: 300_000 });
    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.STOPPING);

    const urgent = await host.stop(id, { signal: "SIGKILL" });

    expect(urgent.machine?.events[0]?.exit?.signal).toBe("SIGKILL");
    expect((await patient).machine?.state).toBe(MachineState.STOPPED);
  });

  test.each([
    ["the request's", "SIGHUP", { stopConfig: { signal: "SIGQUIT" } }, "SIGHUP"],
    ["the configuration's", "", { stopConfig: { signal: "SIGQUIT" } }, "SIGQUIT"],
    ["the image's", "", {}, "SIGTERM"],
  ])("sends %s signal", async (_, signal, config, expected) => {
    const { id } = await host.created({ config });
    await host.start(id);

    const { machine } = await host.stop(id, { signal });

    expect(machine?.events[0]?.exit?.signal).toBe(expected);
  });

  test("sends SIGINT when nobody says anything", async () => {
    const before = host.images.config;
    host.images.config = { ...before, stopSignal: "" };
    const { id } = await host.created();
    host.images.config = before;
    await host.start(id);

    expect((await host.stop(id)).machine?.events[0]?.exit?.signal).toBe("SIGINT");
  });

  test("a start while it stops is refused", async () => {
    const { id } = await host.created({ exec: ["sim-signal-ignore"] });
    await host.start(id);
    const stopping = host.stop(id, { timeoutMs: 200 });
    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.STOPPING);

    await expect(host.start(id)).rejects.toMatchObject({
      reason: "INVALID_STATE",
      facts: { state: "stopping" },
    });
    await stopping;
  });

  test("wrong fields", async () => {
    const { id } = await host.created();

    await expect(host.stop(id, { signal: "SIGSEGV", timeoutMs: 300_001 })).rejects.toMatchObject({
      reason: "INVALID_FIELDS",
      facts: { fields: "signal,timeout" },
    });
    await expect(host.stop(UNKNOWN)).rejects.toMatchObject({ reason: "MACHINE_NOT_FOUND" });
    const creating = await host.create();
    await expect(host.stop(creating.id)).rejects.toMatchObject({ reason: "INVALID_STATE" });
  });
});

describe("an exit by itself", () => {
  test.each([
    [
      "a code",
      ["sim-exit", "7", "sim-run-for", "20"],
      { exitCode: 7, signal: "", oomKilled: false, requestedStop: false },
    ],
    [
      "lack of memory",
      ["sim-oom", "sim-run-for", "20"],
      { exitCode: 137, signal: "SIGKILL", oomKilled: true },
    ],
  ])("with %s makes the machine stopped and says so", async (_, exec, exit) => {
    const { id } = await host.created({ exec });
    await host.start(id, { settleMs: 0 });

    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.STOPPED);

    expect((await host.get(id)).events[0]).toMatchObject({ type: "exit", source: "hostd", exit });
  });

  test("a lost VM makes the machine stopped with VM_LOST and no code", async () => {
    const { id } = await host.created({ exec: ["sim-lost", "sim-run-for", "20"] });
    await host.start(id, { settleMs: 0 });

    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.STOPPED);

    const [event] = (await host.get(id)).events;
    expect(event).toMatchObject({ type: "exit", reason: "VM_LOST" });
    expect(event?.exit?.exitCode).toBeUndefined();
    expect((await host.start(id, { settleMs: 0 })).previousState).toBe(MachineState.STOPPED);
  });
});

describe("destroy", () => {
  test("of a running machine needs force, and kills it then", async () => {
    const { id } = await host.created();
    await host.start(id);

    await expect(host.destroy(id)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "MACHINE_RUNNING",
    });
    const { machine } = await host.destroy(id, { force: true });

    expect(machine?.state).toBe(MachineState.DESTROYED);
    expect(machine?.events.map(({ type }) => type).slice(0, 2)).toEqual(["exit", "destroy"]);
    expect(machine?.events[0]?.exit).toMatchObject({ signal: "SIGKILL", requestedStop: true });
  });

  test("with force during a start, and during a stop with a long grace", async () => {
    const hanging = await host.created({ exec: ["sim-hang"] });
    const starting = host.start(hanging.id);
    starting.catch(() => {});
    const stubborn = await host.created({ exec: ["sim-signal-ignore"] });
    await host.start(stubborn.id);
    const stopping = host.stop(stubborn.id, { timeoutMs: 300_000 });
    await expect.poll(async () => (await host.get(stubborn.id)).state).toBe(MachineState.STOPPING);

    const gone = await Promise.all([hanging.id, stubborn.id].map((id) => host.destroy(id, { force: true })));

    expect(gone.map(({ machine }) => machine?.state)).toEqual([
      MachineState.DESTROYED,
      MachineState.DESTROYED,
    ]);
    await expect(starting).rejects.toMatchObject({ reason: "INVALID_STATE" });
    await stopping;
  });

  test("of an unknown machine succeeds only when asked to", async () => {
    await expect(host.destroy(UNKNOWN)).rejects.toMatchObject({ reason: "MACHINE_NOT_FOUND" });

    expect((await host.destroy(UNKNOWN, { ignoreMissing: true })).machine).toBeUndefined();
    await expect(host.destroy(newId(9), { ignoreMissing: true })).rejects.toMatchObject({
      reason: "WRONG_HOST",
    });
  });

  test("works while the image cache is away", async () => {
    const { id } = await host.created();
    host.images.fault = new Fault("UNAVAILABLE", "IMAGECACHE_UNAVAILABLE", "away");

    expect((await host.destroy(id)).machine?.state).toBe(MachineState.DESTROYED);
  });
});

describe("wait", () => {
  const wait = (machineId: string, states: MachineState[], timeoutMs?: number, org = "") =>
    call(
      host.client,
      host.client.waitMachine,
      { machineId, org, states, timeout: timeoutMs === undefined ? undefined : duration(timeoutMs) },
      SCOPE,
    );

  test("is told of the state when it comes", async () => {
    const { id } = await host.created({ exec: ["sim-exit", "0", "sim-run-for", "50"] });
    await host.start(id, { settleMs: 0 });

    const { machine } = await wait(id, [MachineState.STOPPED, MachineState.FAILED]);

    expect(machine?.state).toBe(MachineState.STOPPED);
  });

  test("fails at once when the state cannot come, and later when it can no longer", async () => {
    const { id } = await host.created({ exec: ["sim-hang"] });

    await expect(wait(id, [])).rejects.toMatchObject({
      reason: "STATE_UNREACHABLE",
      facts: { state: "created" },
    });
    host.start(id).catch(() => {});
    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.STARTING);
    const waiting = wait(id, [MachineState.STARTED]);
    waiting.catch(() => {});
    await host.stop(id);

    await expect(waiting).rejects.toMatchObject({ reason: "STATE_UNREACHABLE", facts: { state: "stopped" } });
  });

  test("gives up when its time is over", async () => {
    const { id } = await host.created();
    await host.start(id);

    await expect(wait(id, [MachineState.STOPPED], 30)).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
      reason: "WAIT_TIMEOUT",
      facts: { state: "started" },
    });
  });

  test("wrong fields and other organisations", async () => {
    const { id } = await host.created();

    await expect(wait(id, [MachineState.SUSPENDED], 300_001)).rejects.toMatchObject({
      facts: { fields: "states[0],timeout" },
    });
    await expect(wait(id, [MachineState.CREATED], 100, "evil")).rejects.toMatchObject({
      reason: "MACHINE_NOT_FOUND",
    });
  });
});

describe("logs", () => {
  const read = async (
    machineId: string,
    fields: { tail?: number; follow?: boolean; after?: bigint } = {},
    until = 0,
  ) => {
    const lines: string[] = [];
    const request = {
      machineId,
      org: "",
      follow: fields.follow ?? false,
      tail: fields.tail,
      afterSequence: fields.after ?? 0n,
    };
    for await (const { entries } of openStream(host.client, host.client.streamLogs, request, SCOPE)) {
      lines.push(...entries.map(({ sequence, text }) => `${sequence} ${text}`));
      if (until > 0 && lines.length >= until) break;
    }
    return lines;
  };

  test("has what the machine wrote, over several starts, until it is destroyed", async () => {
    const { id } = await host.created({ exec: ["sim-log", "2"] });
    await host.start(id);
    expect(await read(id, { follow: true }, 2)).toEqual(["1 line 1", "2 line 2"]);
    await host.stop(id);

    await host.start(id);

    expect(await read(id, { follow: true }, 4)).toEqual(["1 line 1", "2 line 2", "3 line 1", "4 line 2"]);
    expect(await read(id, { tail: 1 })).toEqual(["4 line 2"]);
    expect(await read(id, { after: 3n })).toEqual(["4 line 2"]);
    await host.destroy(id, { force: true });
    expect(await read(id)).toEqual([]);
    expect(await host.logs.owners()).not.toContain(id);
  });

  test("wrong fields and unknown machines", async () => {
    const { id } = await host.created();

    await expect(read(id, { tail: 10_001, after: -1n })).rejects.toMatchObject({
      facts: { fields: "tail,after_sequence" },
    });
    await expect(read(UNKNOWN)).rejects.toMatchObject({ reason: "MACHINE_NOT_FOUND" });
  });
});

describe("service ports", () => {
  test("a machine has an address for each service, and another one when it was taken while it did not run", async () => {
    const services = [
      { protocol: "tcp", internalPort: 80 },
      { protocol: "udp", internalPort: 53 },
    ];
    const { id, serviceAddresses } = await host.created({ config: { services } });
    expect(serviceAddresses).toMatchObject([
      { protocol: "tcp", internalPort: 80, address: expect.stringMatching(/^127\.0\.0\.1:2\d{4}$/) },
      { protocol: "udp", internalPort: 53 },
    ]);
    const port = Number(serviceAddresses[0]?.address.split(":")[1]);
    const thief = net.createServer().listen(port, "127.0.0.1");
    await once(thief, "listening");

    const { machine } = await host.start(id);

    expect(machine?.serviceAddresses[0]?.address).not.toBe(serviceAddresses[0]?.address);
    expect(machine?.serviceAddresses[1]?.address).toBe(serviceAddresses[1]?.address);
    thief.close();
  });
});

describe("the host", () => {
  test("tells who it is, what it has, and what it holds", async () => {
    const hold = host.hold(512, 60_000);
    const { id } = await host.created();
    await host.start(id);

    const answer = await host.getHost();

    expect(answer.hello).toMatchObject({ number: 7, vmm: "sim 1", isolation: "development", region: "ord" });
    expect(answer.status).toMatchObject({
      held: { cpus: 1, memoryMb: 512n, diskMb: 1_024n },
      running: { cpus: 1, memoryMb: 256n },
      machines: { started: 1 },
    });
    expect(answer.holds).toMatchObject([{ reservationId: hold.reservationId, epoch: hold.epoch }]);
    const seconds = (present(answer.holds[0]?.expireTime).getTime() - Date.now()) / 1_000;
    expect(seconds).toBeGreaterThan(55);
    expect(seconds).toBeLessThan(61);
    expect(answer.outboxSequence).toBeGreaterThan(3n);
    host.host.ledger.release([hold.reservationId]);
  });

  test("lists all machines without their events", async () => {
    const ids = [(await host.create()).id, (await host.created()).id].sort();

    const { machines } = await call(host.client, host.client.listMachines, {}, SCOPE);

    const listed = machines.filter(({ id }) => ids.includes(id));
    expect(listed.map(({ id }) => id)).toEqual(ids);
    expect(listed.flatMap(({ events }) => events)).toEqual([]);
  });

  test("gives back exactly the configuration it was given", async () => {
    const config = {
      env: { A: "1" },
      init: { exec: ["/bin/sh"], entrypoint: ["/e"], cmd: ["c"], user: "app", workingDir: "/srv" },
      services: [{ protocol: "tcp", internalPort: 80 }],
      stopConfig: { signal: "SIGTERM", timeout: duration(1_500) },
      metadata: { team: "x" },
    };
    const request = createRequest(host.hold(), { config });

    const { machine } = await call(host.client, host.client.createMachine, request, SCOPE);

    expect(machine?.config).toEqual(request.machine?.config);
    expect(machine?.imageRef).toEqual(request.machine?.imageRef);
    expect(machine?.createTraceId).toBe("c".repeat(32));
  });
});

describe("tokens", () => {
  test.each(["getMachine", "startMachine", "destroyMachine", "getHost"] as const)(
    "%s needs the scope internal",
    async (method) => {
      const claims = { subject: "user", org: "acme", scopes: ["machines:write", "admin"] as const };
      const user = await mintToken(KEYS.privateKey, { ...claims, scopes: [...claims.scopes] }, 60);
      const client = connect(HostServiceClient, host.address, { token: () => user, ownConnection: true });
      const stranger = connect(HostServiceClient, host.address, { ownConnection: true });
      const request = { machineId: UNKNOWN, org: "", settle: undefined, force: false, ignoreMissing: true };

      // The requests of these methods are subsets of this one.
      const ask = (by: HostServiceClient) =>
        call(by, by[method] as HostServiceClient["getMachine"], request, SCOPE);

      await expect(ask(client)).rejects.toMatchObject({ code: "PERMISSION_DENIED", reason: "SCOPE_MISSING" });
      await expect(ask(stranger)).rejects.toMatchObject({ code: "UNAUTHENTICATED", reason: "TOKEN_MISSING" });
      client.close();
      stranger.close();
    },
  );
});

function never(): never {
  throw new Error("there is no such machine");
}
