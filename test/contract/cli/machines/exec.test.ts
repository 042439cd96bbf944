import { describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import type { Program } from "../fakes/fake-state.ts";
import { useCli } from "../support.ts";

const ID = "0000a1b2c3d4e5";
const OTHER = "0000a1b2c3d4e6";
const cli = useCli();

const fails: Program = async function* () {
  yield { stdout: "out\n" };
  yield { stderr: "err\n" };
  yield { exit: 3 };
};

describe("hover machine exec", () => {
  test("passes both streams through, and ends with the command's exit code", async () => {
    cli.api.add({ id: ID });
    cli.api.program = fails;

    const ended = await cli.home.hover("m", "exec", ID, "false");

    expect(ended).toEqual({ code: 3, out: "out\n", err: "err\n" });
  });

  test("leaves the words of the command alone, and splits a single one as flyctl does", async () => {
    cli.api.add({ id: ID });

    const words = await cli.home.hover("m", "exec", ID, "ls", "-l", "--json", "a b");
    const text = await cli.home.hover("m", "exec", ID, "ls -l 'a b'");

    expect(words.out).toBe("ls|-l|--json|a b\n");
    expect(text.out).toBe("ls|-l|a b\n");
  });

  test("sends standard input with -i up to its end, and none without", async () => {
    cli.api.add({ id: ID });
    const input = "x".repeat(300_000);

    const sent = cli.home.start({}, "m", "exec", "-i", ID, "cat");
    sent.child.stdin?.end(input);
    const none = await cli.home.hover("m", "exec", ID, "cat");

    expect((await sent.ended).out).toBe(`cat\n${input}`);
    expect(none.out).toBe("cat\n");
  });

  test("prints codes and streams as JSON", async () => {
    cli.api.add({ id: ID });
    cli.api.program = fails;

    const { code, out } = await cli.home.hover("m", "exec", "--json", "--timeout", "5", ID, "false");

    expect(code).toBe(3);
    expect(JSON.parse(out)).toEqual({
      exit_code: 3,
      signal: null,
      stdout: "out\n",
      stderr: "err\n",
      stdout_truncated: false,
      stderr_truncated: false,
    });
    expect(cli.sent("runCommand")).toMatchObject({ timeout: { seconds: 5n } });
  });

  test("a timeout of zero is the default, as with flyctl", async () => {
    cli.api.add({ id: ID });

    const { code } = await cli.home.within("m", "exec", "--json", "--timeout", "0", ID, "true");

    expect(code).toBe(0);
    expect(cli.sent<{ timeout?: object }>("runCommand").timeout).toBeUndefined();
  });

  test("Ctrl-C ends it, and the call with it", async () => {
    cli.api.add({ id: ID });
    let cancelled = false;
    cli.api.program = async function* (_command, stdin) {
      try {
        yield { stdout: "ready\n" };
        for await (const _ of stdin) yield {};
      } finally {
        cancelled = true;
      }
    };
    const running = cli.home.start({}, "m", "exec", "-i", ID, "cat");
    await expect.poll(running.out).toBe("ready\n");

    running.child.kill("SIGINT");

    expect((await running.ended).code).toBe(130);
    await expect.poll(() => cancelled).toBe(true);
  });

  test("containers of a machine are refused with the reason", async () => {
    const { code, err } = await cli.home.hover("m", "exec", "--container", "side", ID, "ls");

    expect([code, err]).toEqual([
      2,
      expect.stringContaining("--container is not possible here: a machine is one"),
    ]);
    expect(cli.api.requests).toEqual([]);
  });
});

describe("hover console", () => {
  test("runs commands from standard input in the only started machine of the app", async () => {
    cli.api.add({ id: ID, state: MachineState.STARTED });
    cli.api.add({ id: OTHER });
    cli.api.program = async function* (_command, stdin) {
      for await (const chunk of stdin) yield { stdout: `ran ${chunk}` };
      yield { exit: 5 };
    };

    const running = cli.home.start({}, "console", "-a", "web");
    running.child.stdin?.end("uptime\n");

    expect(await running.ended).toEqual({ code: 5, out: "ran uptime\n", err: "" });
    expect(cli.sent("execMachine")).toMatchObject({
      machineId: ID,
      message: {
        value: { command: ["/bin/sh", "-c", expect.any(String)], terminal: undefined, stdin: true },
      },
    });
  });

  test("asks which of several is meant", async () => {
    cli.api.add({ id: ID, state: MachineState.STARTED });
    cli.api.add({ id: OTHER, state: MachineState.STARTED });

    const several = await cli.home.hover("console", "-a", "web");
    const none = await cli.home.hover("console", "-C", "uptime");

    expect([several.code, several.err]).toEqual([2, expect.stringContaining(`${OTHER}  m-e6  ord`)]);
    expect(none.err).toContain("Which machine? Give its id, or its app with -a.");
  });
});
