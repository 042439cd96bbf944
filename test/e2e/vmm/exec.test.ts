import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Vm } from "../../../src/hostd/vmm/vmm.ts";
import {
  type CommandOptions,
  launchProgram,
  NEVER,
  openCommand,
  outcome,
  readUntil,
  runCommand,
} from "../support/commands.ts";
import { type Bench, openBench, openVmm } from "../support/fixture.ts";

const SIGKILL = 9;
const SIGTERM = 15;

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

describe("a command beside the program", () => {
  test("returns its output, its error output and its exit code", async () => {
    expect(await sh("echo hi; echo no >&2; exit 7")).toMatchObject({
      stdout: "hi\n",
      stderr: "no\n",
      end: { kind: "exit", code: 7 },
    });
  });

  test("has the program's user, groups, directory, variables, host name, processes and cgroup", async () => {
    const facts = await sh(
      'id; pwd; echo "$COLOR $ADDED $HOME"; hostname; echo $HOSTNAME; cat /proc/1/cmdline | head -c 2; echo; cat /proc/self/cgroup',
      {
        env: { ADDED: "green" },
      },
    );

    expect(facts.stdout.split("\n")).toEqual([
      "uid=1000(web) gid=1001(web) groups=2000(extra),2001(more)",
      ...["/data", "blue green /srv/web", "kestrel", "kestrel", "sh", "0::/", ""],
    ]);
  });

  test("may have another user and directory, and variables of its own", async () => {
    const facts = await sh('id -u; pwd; echo "$COLOR $HOME"', {
      user: "root",
      workingDir: "/bin",
      env: { COLOR: "red" },
    });

    expect(facts.stdout).toBe("0\n/bin\nred /root\n");
  });

  test("sees neither the agent nor its files", async () => {
    const facts = await run(["ls", "/proc/self/fd"], { user: "root" });
    const names = await sh("cat /proc/[0-9]*/comm", { user: "root" });

    expect(facts.stdout.split("\n").slice(0, 4)).toEqual(["0", "1", "2", "3"]);
    expect(names.stdout.split("\n")).not.toContain("init");
  });

  test.each([
    ["/bin/missing", 'program "/bin/missing" does not exist in the image'],
    ["text", 'program "text" may not be executed (EACCES)'],
    ["aarch64", "/bin/aarch64, made for aarch64, is not a program this machine can run (ENOEXEC)"],
  ])("cannot be %s", async (program, message) => {
    await expect(open([program])).rejects.toMatchObject({ kind: "failed", message });
  });

  test.each([
    [{ user: "nobody-here" }, 'the machine knows no user or group "nobody-here"'],
    [{ workingDir: "/missing" }, "working directory /missing cannot be used: ENOENT"],
  ])("cannot have %j", async (more, message) => {
    await expect(open(["id"], more)).rejects.toMatchObject({ kind: "failed", message });
  });

  test("ends by a signal that it gets, as does all that its group runs", async () => {
    const session = await open(["sh", "-c", "sleep 1000 | sleep 1001"]);

    session.signal(SIGTERM);

    expect(await outcome(session)).toMatchObject({ end: { kind: "signal", signal: SIGTERM } });
    expect(
      (await vm.processes(NEVER))
        .filter(({ command }) => /sleep 100[01]/.test(command))
        .map(({ parentPid }) => parentPid),
    ).not.toContain(session.pid);
  });

  test("is killed with all its descendants, also those in process groups of their own", async () => {
    const session = await open(["sh", "-c", "set -m; sleep 2001 & sleep 2002 & echo up; wait"]);
    const output = session.output[Symbol.asyncIterator]();
    await readUntil(output, "up");

    session.kill();

    expect(await session.ended).toEqual({ kind: "signal", signal: SIGKILL });
    const left = async () =>
      (await vm.processes(NEVER))
        .filter(({ command }) => /sleep 200/.test(command))
        .map(({ command }) => command);
    await expect.poll(left).toEqual([]);
  });

  test("ends although a daemon that it began keeps its output open", async () => {
    const result = await sh("sleep 500 & echo done");

    expect(result).toMatchObject({ stdout: "done\n", end: { kind: "exit", code: 0 } });
  });
});

describe("the end", () => {
  test("of the program interrupts its commands", async () => {
    const { vm: other } = await bench.launch(["sleep", "1000"]);
    const session = await open(["sleep", "1000"], { on: other });

    await other.signal(SIGKILL);

    expect(await outcome(session)).toMatchObject({ end: { kind: "interrupted" } });
    expect(await other.exited).toMatchObject({ signal: SIGKILL });
    await expect(open(["id"], { on: other })).rejects.toMatchObject({ kind: "not_running" });
  });

  test("of a program that takes too much memory does so too", async () => {
    const script = "while [ ! -e /data/go ]; do sleep 0.1; done; exec probe hog";
    const { vm: other } = await bench.launch(["sh", "-c", script]);
    const session = await open(["sh", "-c", "touch /data/go; sleep 1000"], { on: other });

    expect(await outcome(session)).toMatchObject({ end: { kind: "interrupted" } });
    expect(await other.exited).toMatchObject({ oomKilled: true });
  });

  test("of the session with the host kills them, and the next host runs others", async () => {
    const { vm: other } = await bench.launch(["sleep", "1000"]);
    const session = await open(["sleep", "3003"], { on: other });
    await other.detach();
    expect(await session.ended).toMatchObject({ kind: "interrupted" });

    const next = await openVmm(bench.dir);
    const adopted = await next.adopt(other.id, { onLog: () => {} });
    if (!adopted) throw new Error("the VM is gone");

    const left = async () => (await adopted.processes(NEVER)).map(({ command }) => command);
    await expect.poll(left).toEqual(["sleep 1000"]);
    expect(await run(["id", "-u"], { on: adopted })).toMatchObject({ stdout: "0\n" });
    await next.close();
  });
});

test("processes have their ids, parents, commands, directories, times, memory and listening sockets", async () => {
  const server = await open(["sh", "-c", "cd /bin; exec /bin/busybox httpd -f -p 0.0.0.0:8080"]);
  const listening = async () => (await vm.processes(NEVER)).find(({ pid }) => pid === server.pid)?.sockets;
  await expect.poll(listening).toEqual([{ protocol: "tcp", address: "0.0.0.0:8080" }]);

  const all = await vm.processes(NEVER);
  server.kill();
  await server.ended;

  const main = all.find(({ pid }) => pid === 1);
  expect(main).toMatchObject({ parentPid: 0, directory: "/data" });
  expect(main?.command).toMatch(/^sh -c trap/);
  expect(main?.residentBytes).toBeGreaterThan(0);
  expect(main?.runMs).toBeGreaterThan(0);
  expect(all.find(({ pid }) => pid === server.pid)).toMatchObject({
    parentPid: 0,
    command: "/bin/busybox httpd -f -p 0.0.0.0:8080",
    directory: "/bin",
  });
});

test("as many commands run at once as a guest takes, and one more is refused", async () => {
  const sessions = await Promise.all(Array.from({ length: 64 }, () => open(["sleep", "1000"])));

  await expect(open(["id"])).rejects.toMatchObject({ kind: "too_many" });

  for (const session of sessions) session.kill();
  await Promise.all(sessions.map(({ ended }) => ended));
  expect(await run(["id", "-u"])).toMatchObject({ stdout: "1000\n" });
});
