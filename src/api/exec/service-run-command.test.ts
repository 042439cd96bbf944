import { expect, test } from "vitest";
import { type ExecMachineResponse, RunCommandRequest } from "../../gen/windhover/machines/v1/exec.ts";
import { runCommand } from "./service-run-command.ts";

const MIB = 1_024 * 1_024;
const EXIT: ExecMachineResponse = { message: { $case: "exit", value: { exitCode: 0, signal: "" } } };

function run(responses: AsyncGenerator<ExecMachineResponse>) {
  const exec = { send: async () => {}, end() {}, responses };
  return runCommand(exec, RunCommandRequest.fromPartial({ command: ["x"] }));
}

test("output is copied out of its messages, which take more memory than it does", async () => {
  const byte = Buffer.alloc(1);
  async function* responses(): AsyncGenerator<ExecMachineResponse> {
    for (const letter of "abcde") {
      byte.write(letter);
      yield { message: { $case: "stdout", value: byte } };
    }
    yield EXIT;
  }

  const { stdout } = await run(responses());

  expect(stdout.toString()).toBe("abcde");
});

test("of longer output the beginning is kept, and it is said that there was more", async () => {
  async function* responses(): AsyncGenerator<ExecMachineResponse> {
    for (const letter of "abc") {
      yield { message: { $case: "stdout", value: Buffer.alloc(MIB / 2, letter) } };
      if (letter < "c") yield { message: { $case: "stderr", value: Buffer.alloc(MIB / 2, letter) } };
    }
    yield EXIT;
  }

  const { stdout, stderr, stdoutTruncated, stderrTruncated } = await run(responses());

  expect([stdout.length, stderr.length]).toEqual([MIB, MIB]);
  expect(stdout.subarray(-1).toString()).toBe("b");
  expect([stdoutTruncated, stderrTruncated]).toEqual([true, false]);
});
