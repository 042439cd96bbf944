import { describe, expect, test } from "vitest";
import { type ExitEvent, MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import type { CreateMachineRequest } from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { line } from "../fakes/fake-api.ts";
import { useCli } from "../support.ts";

const ID = "0000a1b2c3d4e5";
const cli = useCli();
const RUN = ["m", "run", "--rm", "busybox", "-a", "jobs"];

function exit(exitCode: number): ExitEvent {
  return {
    ...{
      exitCode,
      signal: "",
      oomKilled: false,
      requestedStop: false,
      exitTime: undefined,
      restarting: false,
    },
  };
}

describe("hover machine run --rm", () => {
  test("prints what the program writes, and ends with its exit code", async () => {
    const running = cli.home.start({}, ...RUN, "sh", "-c", "echo hi; exit 3");
    await expect.poll(() => cli.sent("startMachine")).toBeDefined();
    cli.api.logs.push(line(1, "hi"), line(2, "oops", "stderr"));
    await expect.poll(running.out).toBe("hi\n");
    cli.api.exits.resolve(exit(3));

    const { code, out, err } = await running.ended;

    expect([code, out]).toEqual([3, "hi\n"]);
    expect(err).toMatch(/^0000a1b2c3d4e5 runs on ord-1\.\noops\n0000a1b2c3d4e5 is destroyed: exit code 3\n$/);
    const { config, skipLaunch } = cli.sent<CreateMachineRequest>("createMachine");
    expect([config?.autoDestroy, skipLaunch]).toEqual([true, true]);
  });

  test("prints lines that come with the end of the program", async () => {
    const running = cli.home.start({}, ...RUN);
    await expect.poll(() => cli.sent("waitMachine")).toBeDefined();
    cli.api.logs.push(line(1, "first"), line(2, "last"));
    cli.api.exits.resolve(exit(0));

    expect(await running.ended).toEqual({ code: 0, out: "first\nlast\n", err: `${ID} runs on ord-1.\n` });
  });

  test("with --detach returns when the program runs", async () => {
    const { code, out } = await cli.home.hover(...RUN, "--detach");

    expect([code, out]).toEqual([0, expect.stringMatching(/^0000a1b2c3d4e5 started in/)]);
    expect(cli.sent("createMachine")).toMatchObject({ skipLaunch: false, config: { autoDestroy: true } });
  });

  test("Ctrl-C stops and removes the machine", async () => {
    const running = cli.home.start({}, ...RUN);
    await expect.poll(() => cli.sent("waitMachine")).toBeDefined();

    running.child.kill("SIGINT");

    expect((await running.ended).code).toBe(130);
    expect(cli.api.machines.get(ID)?.state).toBe(MachineState.DESTROYED);
    expect(cli.api.requests.map(({ method }) => method).slice(-2)).toEqual(["stopMachine", "destroyMachine"]);
  });

  test("a machine that cannot be started is removed", async () => {
    cli.api.failures.set("startMachine", new Fault("FAILED_PRECONDITION", "EXEC_FAILED", "no such file"));

    const { code, err } = await cli.home.hover(...RUN);

    expect([code, err]).toEqual([1, expect.stringContaining("(EXEC_FAILED)")]);
    expect(cli.api.machines.get(ID)?.state).toBe(MachineState.DESTROYED);
  });

  test("with --json prints lines and then the outcome, one object a line", async () => {
    cli.api.logs.push(line(1, "hi"));
    const running = cli.home.start({}, ...RUN, "--json");
    await expect.poll(running.out).not.toBe("");
    cli.api.exits.resolve(exit(0));

    const { out } = await running.ended;

    const lines = out
      .trimEnd()
      .split("\n")
      .map((each) => JSON.parse(each));
    expect(lines).toMatchObject([{ text: "hi" }, { id: ID, exit_code: 0, machine: { state: "destroyed" } }]);
  });
});

test("hover machine run --follow leaves the machine running on Ctrl-C", async () => {
  const running = cli.home.start({}, "m", "run", "busybox", "-a", "jobs", "--follow");
  await expect.poll(() => cli.sent("waitMachine")).toBeDefined();

  running.child.kill("SIGINT");

  expect((await running.ended).err).toContain(`${ID} goes on: hover machine logs -f ${ID}`);
  expect(cli.api.machines.get(ID)?.state).toBe(MachineState.STARTED);
});

test("hover machine run --shell opens a shell in a machine that is destroyed afterwards", async () => {
  cli.api.program = async function* (command) {
    yield { stdout: `${command[0]}\n` };
    yield { exit: 4 };
  };

  const { code, out } = await cli.home.hover("m", "run", "busybox", "-a", "jobs", "--shell");

  expect([code, out]).toEqual([4, "/bin/sh\n"]);
  expect(cli.sent("createMachine")).toMatchObject({ config: { init: { exec: ["/bin/sleep", "inf"] } } });
  expect(cli.api.machines.get(ID)?.state).toBe(MachineState.DESTROYED);
});

test("hover machine run --wait waits until the machine has settled", async () => {
  const { code } = await cli.home.hover("m", "run", "nginx", "-a", "web", "--wait", "--wait-timeout", "90s");

  expect(code).toBe(0);
  expect(cli.sent("waitMachine")).toMatchObject({ settled: true, timeout: { seconds: 90n } });
});
