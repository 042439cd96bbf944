import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ExecSession } from "../../../src/hostd/vmm/exec.ts";
import type { Vm } from "../../../src/hostd/vmm/vmm.ts";
import {
  type CommandOptions,
  launchProgram,
  openCommand,
  outcome,
  readUntil,
  runCommand,
} from "../support/commands.ts";
import { type Bench, openBench } from "../support/fixture.ts";

const SIGTERM = 15;
const SIGINT = 2;

let bench: Bench;
let vm: Vm;
beforeAll(async () => {
  bench = await openBench();
  vm = await launchProgram(bench);
});
afterAll(() => bench?.close());

type More = CommandOptions & { readonly on?: Vm };

const open = (argv: readonly string[], { on = vm, ...more }: More = {}) => openCommand(on, argv, more);
const run = (argv: readonly string[], { on = vm, ...more }: More = {}) => runCommand(on, argv, more);
const sh = (script: string, more: More = {}) => run(["sh", "-c", script], more);

describe("input and output", () => {
  test("go both ways, byte for byte, until the input ends", async () => {
    const input = Buffer.alloc(700_000, Buffer.from([0, 1, 2, 253, 254, 255, 10, 13]));
    const session = await open(["cat"], { stdin: true });
    const parts: Buffer[] = [];
    const reading = (async () => {
      for await (const { bytes } of session.output) parts.push(bytes);
    })();
    await session.write(input);
    session.endInput();
    await reading;

    expect(Buffer.concat(parts).equals(input)).toBe(true);
    expect(await session.ended).toEqual({ kind: "exit", code: 0 });
  });

  test("are empty for a command that asked for no input", async () => {
    expect(await run(["cat"])).toMatchObject({ stdout: "", end: { kind: "exit", code: 0 } });
  });

  test("of a command that takes no input are not waited for", async () => {
    expect(
      await run(
        ["true"].map(() => "id"),
        { input: Buffer.alloc(500_000) },
      ),
    ).toMatchObject({ end: { kind: "exit", code: 0 } });
  });

  test("of one command wait for its reader, and nobody else does", async () => {
    const slow = await open(["sh", "-c", "head -c 3000000 /dev/zero; echo end >&2; exit 4"]);
    const output = slow.output[Symbol.asyncIterator]();
    await output.next();

    const others = await Promise.all(Array.from({ length: 8 }, (_, i) => sh(`echo ${i}`)));
    const large = await sh("head -c 1000000 /dev/zero");

    expect(others.map(({ stdout }) => stdout)).toEqual(Array.from({ length: 8 }, (_, i) => `${i}\n`));
    expect(large.bytes).toBe(1_000_000);
    const rest = await outcome({
      ...slow,
      output: { [Symbol.asyncIterator]: () => output },
      ended: slow.ended,
    } as ExecSession);
    expect(rest).toMatchObject({ stderr: "end\n", end: { kind: "exit", code: 4 } });
    expect(rest.bytes).toBeGreaterThan(2_900_000);
  });

  test("of a command that nobody reads do not keep the program's exit back", async () => {
    const script = "trap 'echo bye; exit 5' TERM; echo ready; sleep 1000 & wait";
    const { vm: other, texts } = await bench.launch(["sh", "-c", script]);
    await expect.poll(texts).toContain("ready");
    const stuck = await open(["sh", "-c", "while :; do echo full; done"], { on: other });
    await stuck.output[Symbol.asyncIterator]().next();

    await other.signal(SIGTERM);

    expect(await other.exited).toMatchObject({ kind: "process", exitCode: 5 });
    expect(texts()).toContain("bye");
  });
});

describe("a terminal", () => {
  const terminal = { rows: 30, columns: 100 };

  test("has the size that was asked for, each later one, and a type", async () => {
    const session = await open(["sh"], { terminal, stdin: true });
    const output = session.output[Symbol.asyncIterator]();

    await session.write(
      Buffer.from("/bin/busybox stty size; echo $TERM; test -t 0 && test -t 2 && echo both\n"),
    );
    const before = await readUntil(output, "\r\nboth\r\n");
    session.resize({ rows: 50, columns: 120 });
    await session.write(Buffer.from("/bin/busybox stty size; exit 6\n"));
    const after = await readUntil(output, "50 120");
    for (let next = await output.next(); next.done !== true; ) next = await output.next();

    expect(before).toContain("30 100\r\nxterm-256color\r\n");
    expect(after).toContain("50 120");
    expect(await session.ended).toEqual({ kind: "exit", code: 6 });
  });

  test("belongs to the user and passes Ctrl-C on to what is in front", async () => {
    const session = await open(
      [
        "sh",
        "-c",
        "trap 'echo caught; exit 9' INT; echo $(stat -c %U $(readlink /proc/self/fd/0)); while :; do sleep 1; done",
      ],
      {
        terminal,
        stdin: true,
      },
    );
    const output = session.output[Symbol.asyncIterator]();
    expect(await readUntil(output, "\r\n")).toBe("web\r\n");

    await session.write(Buffer.from([3]));

    expect(await readUntil(output, "caught")).toContain("caught");
    for (let next = await output.next(); next.done !== true; ) next = await output.next();
    expect(await session.ended).toEqual({ kind: "exit", code: 9 });
  });

  test("gets a signal by its number too, and the end of its input", async () => {
    const first = await open(["sleep", "1000"], { terminal });
    first.signal(SIGINT);
    const second = await run(["cat"], { terminal, input: "some words" });

    expect(await outcome(first)).toMatchObject({ end: { kind: "signal", signal: SIGINT } });
    expect(second).toMatchObject({ end: { kind: "exit", code: 0 } });
    expect(second.stdout).toContain("some words");
  });

  test("may be the program's own: its output is stdout, line for line", async () => {
    const { vm: other, lines } = await bench.launch(
      ["sh", "-c", "test -t 0 && test -t 1 && echo yes; echo no >&2; tty; exit 2"],
      {
        tty: true,
        user: "web",
      },
    );

    expect(await other.exited).toMatchObject({ exitCode: 2 });
    expect(lines.map(({ stream, text }) => `${stream} ${text}`).slice(0, 2)).toEqual([
      "stdout yes",
      "stdout no",
    ]);
  });
});
