import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import type { Program } from "../fakes/fake-state.ts";
import { useCli } from "../support.ts";

const ID = "0000a1b2c3d4e5";
const OTHER = "0000a1b2c3d4e6";
const MAIN = join(import.meta.dirname, "../../../../src/cli/main.ts");
const cli = useCli();

/** Answers each key with its code, and ends with `q`. */
const keys: Program = async function* (_command, stdin) {
  yield { stdout: "ready " };
  for await (const chunk of stdin) {
    if (chunk.includes("q")) break;
    yield { stdout: `<${[...chunk].join(",")}>` };
  }
  yield { exit: 6 };
};

/** Runs shell code in a terminal of its own, with `hover` as a command; what is written is keys. */
function inTerminal(code: string) {
  const hover = `hover() { '${process.execPath}' '${MAIN}' "$@"; }`;
  const child = spawn(
    "script",
    ["-qfec", `bash -c '${`${hover}; ${code}`.replaceAll("'", "'\\''")}'`, "/dev/null"],
    {
      env: { PATH: process.env["PATH"] ?? "", WINDHOVER_DIR: cli.home.dir, TERM: "vt100" },
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  const ended = once(child, "close").then(() => out);
  return { type: (text: string) => child.stdin.write(text), out: () => out, ended };
}

const BEFORE = "stty rows 30 cols 90; before=$(stty -g)";
const AFTER = 'echo; [ "$(stty -g)" = "$before" ] && echo restored';

describe("a command without its machine", () => {
  test("lets a person choose one of the app's, and asks again for what is none of them", async () => {
    cli.api.add({ id: ID, name: "front", app: "web", state: MachineState.STARTED });
    cli.api.add({ id: OTHER, name: "back", app: "web", state: MachineState.STARTED });
    cli.api.add({ id: "0000a1b2c3d4e7", app: "jobs" });
    const terminal = inTerminal("hover machine status -a web | head -1; echo end");
    await expect.poll(terminal.out).toContain("Which machine?");

    terminal.type("7\n");
    await expect.poll(terminal.out).toContain("One number of the list, please.");
    terminal.type("2\n");

    const out = await terminal.ended;
    expect(out).toContain(`2  ${OTHER}  back   started  web`);
    expect(out).not.toContain("0000a1b2c3d4e7");
    expect(out).toMatch(new RegExp(`id +${OTHER}`));
  });

  test("takes the one word of an exec as the command", async () => {
    cli.api.add({ id: ID, state: MachineState.STARTED });
    cli.api.program = async function* () {
      yield { stdout: "it ran" };
      yield { exit: 0 };
    };
    const terminal = inTerminal("hover machine exec uptime; echo code $?");
    await expect.poll(terminal.out).toContain("Which machine?");

    terminal.type("1\n");

    expect(await terminal.ended).toMatch(/it ran.*code 0/s);
    expect(cli.sent("execMachine")).toMatchObject({
      machineId: ID,
      message: { value: { command: ["uptime"] } },
    });
  });

  test("works on several, and on none after the end of the input", async () => {
    cli.api.add({ id: ID, state: MachineState.STARTED });
    cli.api.add({ id: OTHER, state: MachineState.STARTED });
    const terminal = inTerminal("hover machine stop; echo code $?; hover machine stop; echo code $?");
    await expect.poll(terminal.out).toContain("Which machines?");

    terminal.type("1, 2\n");
    await expect.poll(terminal.out).toContain("code 0");
    await expect.poll(() => terminal.out().split("Which machines?").length).toBe(3);
    terminal.type("\x04");

    expect(await terminal.ended).toMatch(/Nothing was typed.*code 2/s);
    for (const id of [ID, OTHER]) expect(cli.api.machines.get(id)?.state).toBe(MachineState.STOPPED);
  });
});

describe("hover console in a terminal", () => {
  test("passes every key on, tells the size and its changes, and restores the terminal", async () => {
    cli.api.add({ id: ID, state: MachineState.STARTED });
    cli.api.program = keys;
    const terminal = inTerminal(`${BEFORE}; hover console ${ID}; echo code $?; ${AFTER}`);
    await expect.poll(terminal.out).toContain("ready ");

    terminal.type("a");
    await expect.poll(terminal.out).toContain("<97>");
    // Ctrl-C and Ctrl-D are keys like any other.
    terminal.type("\x03");
    await expect.poll(terminal.out).toContain("<3>");
    terminal.type("\x04");
    await expect.poll(terminal.out).toContain("<4>");
    terminal.type("q");

    const out = await terminal.ended;
    expect(out).toContain("code 6");
    expect(out).toContain("restored");
    expect(cli.api.sizes).toEqual([{ rows: 30, columns: 90 }]);
    expect(cli.sent("execMachine")).toMatchObject({
      message: { value: { env: new Map([["TERM", "vt100"]]) } },
    });
  });

  test("tells when the window has another size", async () => {
    cli.api.add({ id: ID, state: MachineState.STARTED });
    cli.api.program = keys;
    const flag = join(cli.home.dir, "resize");
    const resize = `(until [ -e ${flag} ]; do sleep 0.05; done; stty -F /dev/tty rows 40 cols 120) &`;
    const terminal = inTerminal(`${BEFORE}; ${resize} hover machine exec -it ${ID} sh; echo code $?`);
    await expect.poll(terminal.out).toContain("ready ");

    writeFileSync(flag, "");
    // stty sets rows and columns one after the other, so a size between the two may be told as well.
    await expect.poll(() => cli.api.sizes.at(-1)).toEqual({ rows: 40, columns: 120 });
    expect(cli.api.sizes[0]).toEqual({ rows: 30, columns: 90 });
    terminal.type("q");

    expect(await terminal.ended).toContain("code 6");
  });

  test("~. leaves a program that does not answer", async () => {
    cli.api.add({ id: ID, state: MachineState.STARTED });
    cli.api.program = keys;
    const terminal = inTerminal(`${BEFORE}; hover console ${ID}; echo code $?; ${AFTER}`);
    await expect.poll(terminal.out).toContain("ready ");

    terminal.type("~.");

    const out = await terminal.ended;
    expect(out).toContain("Left; the command is killed.");
    expect(out).toMatch(/code 1\b/);
    expect(out).toContain("restored");
  });

  test("restores the terminal when the API goes away", async () => {
    cli.api.add({ id: ID, state: MachineState.STARTED });
    cli.api.program = keys;
    const terminal = inTerminal(`${BEFORE}; hover console ${ID}; echo code $?; ${AFTER}`);
    await expect.poll(terminal.out).toContain("ready ");

    await cli.api.stop();

    const out = await terminal.ended;
    await cli.api.start();
    expect(out).toMatch(/code 1\b/);
    expect(out).toContain("restored");
  });

  test("restores the terminal when it is told to end", async () => {
    cli.api.add({ id: ID, state: MachineState.STARTED });
    cli.api.program = keys;
    const file = join(cli.home.dir, "pid");
    const start = `(echo $BASHPID > ${file}; exec ${process.execPath} ${MAIN} console ${ID})`;
    const terminal = inTerminal(`${BEFORE}; ${start}; echo code $?; ${AFTER}`);
    await expect.poll(terminal.out).toContain("ready ");

    process.kill(Number(readFileSync(file, "utf8")), "SIGTERM");

    const out = await terminal.ended;
    expect(out).toContain("code 143");
    expect(out).toContain("restored");
  });
});
