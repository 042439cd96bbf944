import { once } from "node:events";
import * as net from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { expectCleanAfterRemoval } from "../clean.ts";
import { startHost, type TestHost } from "../fixture.ts";
import { newId } from "../requests.ts";

const UNKNOWN = newId();
const BIG = { cpus: 64, memoryMb: 65_536, diskMb: 65_536 };

let host: TestHost;
beforeAll(async () => {
  host = await startHost();
});
afterAll(() => host.close());
afterEach(() => expectCleanAfterRemoval(host));

describe("start", () => {
  test("two at once are one start", async () => {
    const { id } = await host.created();

    const [first, second] = await Promise.all([host.start(id), host.start(id)]);

    expect(first.machine?.generation).toBe(second.machine?.generation);
    expect(first.machine?.events.filter(({ type }) => type === "start")).toHaveLength(1);
    expect(await host.sim.list()).toHaveLength(1);
  });

  test.each(["", "acme"])(
    "a banned organisation's machine is refused, and stops (named in the request: %j)",
    async (org) => {
      const { id } = await host.created();
      const running = await host.created();
      await host.start(running.id);
      const { version } = host.revocations.list;
      const acme = { org: "acme", isSuspended: true, notBeforeMs: 0 };
      host.revocations.replace({ version: version + 1, tokens: [], orgs: [acme] });

      await expect(host.start(id, { org })).rejects.toMatchObject({
        code: "PERMISSION_DENIED",
        reason: "ORG_BANNED",
      });
      expect((await host.get(running.id)).state).toBe(MachineState.STARTED);
      await host.stop(running.id);
      host.revocations.replace({ version: version + 2, tokens: [], orgs: [] });
      await host.start(id);
    },
  );

  test("the answer has the exit of a process that ends at once", async () => {
    const { id } = await host.created({ exec: ["sim-exit", "3"] });

    const { machine } = await host.start(id, { watchMs: 10_000 });

    expect(machine?.state).toBe(MachineState.STOPPED);
    expect(machine?.events[0]).toMatchObject({
      type: "exit",
      exit: { exitCode: 3, signal: "", requestedStop: false },
    });
  });

  test("starts that watch their process hold no slot", async () => {
    const crowded = await startHost({ settings: { capacity: BIG, startConcurrency: 1 } });
    const ids = await Promise.all([1, 2, 3, 4].map(async () => (await crowded.created()).id));
    const [victim = "", ...others] = ids;

    const watching = others.map((id) => crowded.start(id, { watchMs: 10_000 }));
    await expect.poll(async () => (await crowded.getHost()).status?.machines.get("started")).toBe(3);
    const { running } = crowded.host.starts;
    const started = await crowded.start(victim, { watchMs: 0 });
    let answered = 0;
    for (const each of watching) each.then(() => (answered += 1));
    await crowded.get(victim);

    expect({ running, answered }).toEqual({ running: 0, answered: 0 });
    expect(started.machine?.state).toBe(MachineState.STARTED);
    await Promise.all(ids.map((id) => crowded.destroy(id, { force: true })));
    await Promise.all(watching);
    await crowded.close();
  });

  test("a stop ends the watch: the process gets its signal, and the start has been one", async () => {
    const { id } = await host.created({ exec: ["sim-signal-exit", "7"] });
    const watching = host.start(id, { watchMs: 10_000 });
    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.STARTED);

    const again = await host.start(id);
    const { machine } = await host.stop(id);

    expect(again.alreadyStarted).toBe(true);
    expect((await watching).startPath).toBe("cold");
    expect(machine?.events[0]?.exit).toMatchObject({ exitCode: 7, requestedStop: true });
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

  test("an image without a command is EXEC_FAILED too", async () => {
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

  test("a full host refuses with INSUFFICIENT_CAPACITY, and the machine is unchanged", async () => {
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

  test("capacity allocated for the launch is there although the host has been filled", async () => {
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
    await expect(host.start(id, { watchMs: 10_001 })).rejects.toMatchObject({ reason: "INVALID_FIELDS" });
    expect((await host.start(id, { org: "acme" })).machine?.state).toBe(MachineState.STARTED);
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
    await host.start(id, { watchMs: 0 });

    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.STOPPED);

    expect((await host.get(id)).events[0]).toMatchObject({ type: "exit", source: "hostd", exit });
  });

  test("a VM that ends without an exit event makes the machine stopped with VM_LOST and no code", async () => {
    const { id } = await host.created({ exec: ["sim-lost", "sim-run-for", "20"] });
    await host.start(id, { watchMs: 0 });

    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.STOPPED);

    const [event] = (await host.get(id)).events;
    expect(event).toMatchObject({ type: "exit", reason: "VM_LOST" });
    expect(event?.exit?.exitCode).toBeUndefined();
    expect((await host.start(id, { watchMs: 0 })).previousState).toBe(MachineState.STOPPED);
  });
});

describe("service ports", () => {
  test("a machine has an address for each service, and another one when its port was taken", async () => {
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
