import { afterAll, beforeAll, expect, test } from "vitest";
import type { ExecRequest } from "../../src/hostd/vmm/exec.ts";
import type { Vm } from "../../src/hostd/vmm/vmm.ts";
import { type Bench, openBench } from "./vmm-fixture.ts";

const NEVER = new AbortController().signal;

let bench: Bench;
let vm: Vm;
beforeAll(async () => {
  bench = await openBench();
  ({ vm } = await bench.launch(["sleep", "1000"], {
    user: "web",
    env: { COLOR: "blue" },
    workingDir: "/data",
  }));
});
afterAll(() => bench?.close());

interface Result {
  readonly stdout: string;
  readonly stderr: string;
  readonly end: unknown;
}

/** Runs a command to its end. */
async function run(
  on: Vm,
  argv: readonly string[],
  more: Partial<ExecRequest> & { input?: string } = {},
): Promise<Result> {
  const { input, ...rest } = more;
  const session = await on.exec({ argv, env: {}, stdin: input !== undefined, ...rest }, NEVER);
  const texts = { stdout: "", stderr: "" };
  const written =
    input === undefined ? undefined : session.write(Buffer.from(input)).then(() => session.endInput());
  for await (const { stream, bytes } of session.output) texts[stream] += bytes.toString();
  await written;
  return { ...texts, end: await session.ended };
}

test("a command's output, error output and exit code arrive", async () => {
  const result = await run(vm, ["sh", "-c", "echo hi; echo no >&2; exit 7"]);

  expect(result).toEqual({ stdout: "hi\n", stderr: "no\n", end: { kind: "exit", code: 7 } });
});
