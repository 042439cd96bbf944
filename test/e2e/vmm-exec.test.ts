import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ExecRequest, ExecSession } from "../../src/hostd/vmm/exec.ts";
import type { Vm } from "../../src/hostd/vmm/vmm.ts";
import { type Bench, openBench, openVmm } from "./vmm-fixture.ts";

const NEVER = new AbortController().signal;
const SIGKILL = 9;
const SIGTERM = 15;
const SIGINT = 2;

let bench: Bench;
let vm: Vm;
beforeAll(async () => {
  bench = await openBench();
  const more = { user: "web", env: { COLOR: "blue" }, workingDir: "/data", hostname: "kestrel" };
  ({ vm } = await bench.launch(
    ["sh", "-c", "trap 'exit 3' TERM; while :; do sleep 1000 & wait; done"],
    more,
  ));
});
afterAll(() => bench?.close());

type More = Partial<ExecRequest> & { readonly input?: string | Buffer; readonly on?: Vm };

function open(argv: readonly string[], { on = vm, input: _, ...more }: More = {}): Promise<ExecSession> {
  return on.exec({ argv, env: {}, stdin: false, ...more }, NEVER);
}

/** Collects the output of a command, until it ends. */
async function outcome(session: ExecSession) {
  const parts = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  for await (const { stream, bytes } of session.output) parts[stream].push(bytes);
  const stdout = Buffer.concat(parts.stdout);
  return {
    stdout: stdout.toString(),
    bytes: stdout.length,
    stderr: Buffer.concat(parts.stderr).toString(),
    end: await session.ended,
  };
}

/** Runs a command to its end. */
async function run(argv: readonly string[], more: More = {}) {
  const { input } = more;
  const session = await open(argv, { ...more, stdin: input !== undefined });
  const feed = async () => {
    if (input === undefined) return;
    await session.write(Buffer.from(input));
    session.endInput();
  };
  const [result] = await Promise.all([outcome(session), feed()]);
  return result;
}

const sh = (script: string, more: More = {}) => run(["sh", "-c", script], more);

/** Reads output until it contains a text. */
async function readUntil(output: AsyncIterator<{ bytes: Buffer }>, text: string): Promise<string> {
  let read = "";
  while (!read.includes(text)) {
    const next = await output.next();
    if (next.done === true) throw new Error(`the output ended: ${JSON.stringify(read)}`);
    read += next.value.bytes.toString();
  }
  return read;
}

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

describe("files and name resolution", () => {
  test("are there before the program runs, and it can read the files", async () => {
    const files = [
      { path: "/srv/app/conf/secret", content: Buffer.from("hush"), mode: 0o600 },
      { path: "/data/file", content: Buffer.from("new\n"), mode: 0o644 },
      { path: "/data/run", content: Buffer.from("#!/bin/sh\necho ran\n"), mode: 0o755 },
      { path: "/bin/touch", content: Buffer.from("no longer a link\n"), mode: 0o644 },
    ];
    const dns = { nameservers: ["9.9.9.9"], searches: ["corp.example", "example"], options: ["ndots:2"] };
    const script =
      "cat /srv/app/conf/secret; echo; stat -c '%a %U %G' /srv/app/conf/secret; stat -c '%a %U' /srv/app/conf; cat /data/file; /data/run; cat /bin/touch; cat /etc/resolv.conf; hostname; cat /etc/hosts";

    const { vm: other, texts } = await bench.launch(["sh", "-c", script], {
      user: "web",
      files,
      dns,
      hostname: "db.corp.example",
    });
    await other.exited;

    expect(texts()).toEqual([
      ...["hush", "600 web web", "755 root", "new", "ran", "no longer a link"],
      ...["nameserver 9.9.9.9", "search corp.example example", "options ndots:2", "db.corp.example"],
      ...[
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "10.0.2.15\tdb.corp.example db",
      ],
    ]);
  });

  test.each(["/data", "/proc/self/fd/1"])("cannot be at %s", async (path) => {
    const files = [{ path, content: Buffer.from("x"), mode: 0o644 }];

    await expect(bench.launch(["id"], { files })).rejects.toMatchObject({
      kind: "exec",
      reason: "bad_file",
    });
  });
});
