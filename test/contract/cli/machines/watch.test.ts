import { describe, expect, test } from "vitest";
import { MachineEvent, MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { useCli } from "../support.ts";

const ID = "0000a1b2c3d4e5";
const cli = useCli();

describe("hover watch", () => {
  const change = (state: MachineState, position: string, type?: string) => ({
    position,
    changes: [
      {
        machine: { ...cli.api.add({ id: ID, state }), updateTime: new Date(1e12) },
        event: type === undefined ? undefined : { ...MachineEvent.create(), type, time: new Date(1e12) },
      },
    ],
  });

  test("prints changes, and goes on after the last when the API is replaced", async () => {
    cli.api.changes = [change(MachineState.STOPPED, "p1")];
    const running = cli.home.start({}, "watch", "-a", "web");
    await expect.poll(running.out).toBe(`2001-09-09T01:46:40.000Z  ${ID}  m-e5                  stopped\n`);

    await cli.api.stop();
    await expect.poll(running.err).toContain("The API does not answer");
    cli.api.changes.push(change(MachineState.STARTED, "p2", "start"));
    await cli.api.start();

    await expect.poll(running.out).toMatch(/stopped\n.*started {2}start\n$/);
    running.child.kill("SIGINT");
    expect((await running.ended).code).toBe(130);
    expect(cli.sent("watchMachines")).toEqual({ machineIds: [], app: "web", afterPosition: "p1" });
  });

  test("begins anew when the changes in between are gone", async () => {
    cli.api.changes = [change(MachineState.STOPPED, "p1")];
    const running = cli.home.start({}, "watch", ID, "--json");
    await expect.poll(running.out).not.toBe("");

    await cli.api.stop();
    await expect.poll(running.err).toContain("The API does not answer");
    cli.api.failures.set("watchMachines", new Fault("FAILED_PRECONDITION", "POSITION_TOO_OLD", "gone"));
    await cli.api.start();

    await expect.poll(running.err).toContain("this is what the machines are now");
    await expect.poll(() => running.out().trimEnd().split("\n").length).toBe(2);
    running.child.kill("SIGINT");
    const { out } = await running.ended;
    expect(JSON.parse(out.split("\n")[0] ?? "")).toMatchObject({
      position: "p1",
      machine: { id: ID },
      event: null,
    });
  });

  test("a position that is too old from the start is an error", async () => {
    cli.api.failures.set("watchMachines", new Fault("FAILED_PRECONDITION", "POSITION_TOO_OLD", "gone"));

    const { code, err } = await cli.home.hover("watch", "--org", "--after", "p0");

    expect([code, err]).toEqual([1, expect.stringContaining("(POSITION_TOO_OLD)")]);
  });
});
