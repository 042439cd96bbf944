import { describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { WaitMachineRequest } from "../../../../src/gen/windhover/machines/v1/machines.ts";
import type { Fault } from "../../../../src/lib/faults/fault.ts";
import { call, openStream } from "../../../../src/lib/grpc/client.ts";
import { faultOf } from "../../../support/fault-of.ts";
import type { TestApi } from "../fixture.ts";
import { LIMIT, withWorld, world } from "./fixture.ts";

withWorld();

describe("waits and logs", () => {
  /** A started machine of host 1 and what waits until it is stopped. */
  async function waiting(on: TestApi) {
    const { machine } = await on.user.create();
    const machineId = machine?.id ?? "";
    await on.user.start(machineId);
    const { machines } = on.user;
    const request = WaitMachineRequest.fromPartial({ machineId, states: [MachineState.STOPPED] });
    const watched = () => world.host(1).calls.filter((call) => call === "watchMachines").length;
    return { machineId, watched, wait: () => call(machines, machines.waitMachine, request, LIMIT) };
  }

  test("a wait is told that its api shuts down", async () => {
    const going = await world.api();
    const { wait, watched } = await waiting(going);
    const told = faultOf(wait());
    await expect.poll(watched).toBe(1);

    await going.close();

    expect(await told).toMatchObject({ code: "UNAVAILABLE", reason: "SERVER_DRAINING" });
  });

  test("all waits for machines of a host share one stream, and each gets the machine as it was", async () => {
    const own = await world.api();
    const { machineId, wait, watched } = await waiting(own);
    const waits = Array.from({ length: 100 }, wait);
    const named = () => world.host(1).watched.filter((id) => id === machineId).length;
    // Each names it, so all have begun.
    await expect.poll(named).toBe(100);

    world.host(1).change(machineId, { state: MachineState.STOPPED });
    world.host(1).change(machineId, { state: MachineState.STARTED });

    const states = (await Promise.all(waits)).map(({ machine }) => machine?.state);
    expect(new Set(states)).toEqual(new Set([MachineState.STOPPED]));
    expect(watched()).toBe(1);
    await own.close();
  });

  test("waits beyond what an organisation may have are told so, and its calls and others' waits go on", async () => {
    const own = await world.api({ inProgressLimits: { calls: 8, streams: 3 } });
    const { machineId, wait, watched } = await waiting(own);
    const outcomes = Array.from({ length: 5 }, () => faultOf(wait()).catch(() => "answered"));
    const refused = await Promise.all(
      [0, 1].map(() => Promise.race(outcomes).then((fault) => fault as Fault)),
    );
    await expect.poll(watched).toBe(1);

    expect(refused[0]).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "TOO_MANY_STREAMS",
      facts: { org: "personal", limit: "3" },
      retryAfterMs: 1_000,
    });
    expect((await own.user.start(machineId)).alreadyStarted).toBe(true);
    world.host(1).change(machineId, { state: MachineState.STOPPED });
    const ended = await Promise.all(outcomes);
    expect(ended.filter((each) => each === "answered")).toHaveLength(3);
    await own.close();
  });

  test("a wait goes on while its host restarts", async () => {
    const own = await world.api();
    const { machineId, wait, watched } = await waiting(own);
    const waited = wait();
    await expect.poll(watched).toBe(1);

    await world.host(1).stop();
    world.host(1).change(machineId, { state: MachineState.STOPPED });
    await world.host(1).start();

    expect((await waited).machine).toMatchObject({ id: machineId, state: MachineState.STOPPED });
    await own.close();
  });

  test("a log goes on while its host restarts: no line is lost, none comes twice", async () => {
    const own = await world.api();
    const { machineId } = await waiting(own);
    const { machines } = own.user;
    const request = { machineId, follow: true, tail: 0, since: undefined, afterSequence: 0n };
    const host = world.host(1);
    const lines: string[] = [];
    const reading = (async () => {
      for await (const { entries } of openStream(machines, machines.streamLogs, request, LIMIT)) {
        lines.push(...entries.map(({ text }) => text));
        if (lines.includes("end")) return;
      }
    })();
    await expect.poll(() => lines).toEqual(["hello"]);

    await host.stop();
    host.lines.push("while away", "end");
    await host.start();

    await reading;
    expect(lines).toEqual(["hello", "while away", "end"]);
    host.lines.length = 1;
    await own.close();
  });

  test("a wait for a machine whose host is away is told so", async () => {
    const own = await world.api();
    const { wait } = await waiting(own);
    await world.host(1).stop();

    const told = await faultOf(wait());

    await world.host(1).start();
    expect(told).toMatchObject({ code: "UNAVAILABLE", reason: "HOST_UNREACHABLE" });
    await own.close();
  });
});
