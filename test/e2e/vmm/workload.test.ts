import { chmodSync, copyFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LaunchError } from "../../../src/hostd/vmm/vmm.ts";
import { temporaryFolder } from "../../support/temporary.ts";
import { type Bench, openBench, packImage } from "../support/fixture.ts";

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench?.close());

/** Runs a shell script and returns what it printed, by the words before the colons. */
async function facts(script: string, more: Parameters<Bench["launch"]>[1] = {}) {
  const launched = await bench.launch(["sh", "-c", script], more);
  const exit = await launched.vm.exited;
  const found = new Map(
    launched.texts().map((line) => [line.split(": ")[0], line.slice(line.indexOf(": ") + 2)]),
  );
  return { exit, launched, of: (name: string) => found.get(name) };
}

test("a workload finds its user, groups, directory, variables, names and file systems", async () => {
  const script = [
    'echo "id: $(id)"; echo "dir: $(pwd)"; echo "home: $HOME"; echo "path: $PATH"; echo "color: $COLOR"',
    'echo "hostname: $(hostname)"; echo "variable: $HOSTNAME"; echo "hosts: $(cat /etc/hosts | head -n 3 | tail -n 1)"',
    'echo "resolver: $(cat /etc/resolv.conf)"; echo "root: $(stat -c "%a %u" /)"; echo "shm: $(stat -c %a /dev/shm)"',
    'echo "devices: $(ls -d /dev/null /dev/pts /dev/ptmx /dev/fd /dev/mqueue /sys/fs/cgroup/cgroup.procs /proc/1 | tr "\\n" " ")"',
    'echo "files: $(ulimit -n)"; echo "opened by name" > /dev/stderr; exit 3',
  ].join("\n");
  const user = {
    user: "web",
    workingDir: "/deep/new/dir",
    env: { COLOR: "blue = green" },
    hostname: "kestrel",
  };

  const { exit, launched, of } = await facts(script, user);

  expect(exit).toMatchObject({ kind: "process", exitCode: 3, oomKilled: false });
  expect(of("id")).toBe("uid=1000(web) gid=1001(web) groups=2000(extra),2001(more)");
  expect(of("dir")).toBe("/deep/new/dir");
  expect(of("home")).toBe("/srv/web");
  expect(of("path")).toBe("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  expect(of("color")).toBe("blue = green");
  expect([of("hostname"), of("variable")]).toEqual(["kestrel", "kestrel"]);
  expect(of("resolver")).toBe("nameserver 10.0.2.3");
  expect(of("root")).toBe("755 0");
  expect(of("shm")).toBe("1777");
  expect(of("devices")?.trim().split(" ")).toHaveLength(7);
  expect(of("files")).toBe("65536");
  expect(launched.lines.at(-1)).toMatchObject({ stream: "stderr", text: "opened by name" });
});

test("an image's own directories keep their modes, and one that is a link stays one", async () => {
  const folder = temporaryFolder("image");
  const root = join(folder.path, "root");
  for (const dir of ["bin", "conf"]) mkdirSync(join(root, dir), { recursive: true });
  copyFileSync("/bin/busybox", join(root, "bin/sh"));
  for (const name of ["ls", "stat", "cat"]) symlinkSync("sh", join(root, "bin", name));
  chmodSync(root, 0o711);
  const script =
    'echo "mode: $(stat -c %a /)"; echo "etc: $(ls -ld /etc)"; cat /etc/hosts /etc/hostname; echo "proc: $(ls /proc/1/comm)"';
  const run = async (image: string) => {
    packImage(root, join(folder.path, image));
    return facts(script, { rootfs: join(folder.path, image), hostname: "kestrel" });
  };

  symlinkSync("conf", join(root, "etc"));
  const link = await run("link.sqfs");
  rmSync(join(root, "etc"));
  mkdirSync(join(root, "etc"), { mode: 0o711 });
  writeFileSync(join(root, "etc/hosts"), "of the image\n");
  const directory = await run("directory.sqfs");
  rmSync(join(root, "etc"), { recursive: true });
  const none = await run("none.sqfs");
  folder.remove();

  for (const { launched } of [link, directory, none]) {
    expect(launched.texts()).toContain("kestrel");
    expect(launched.texts()).toContain("10.0.2.15\tkestrel");
    expect(launched.texts()).not.toContain("of the image");
    expect(launched.texts()).toContain("proc: /proc/1/comm");
    expect(launched.texts()[0]).toBe("mode: 711");
  }
  expect(link.of("etc")).toMatch(/^l.* -> conf$/);
  expect(directory.of("etc")).toMatch(/^drwx--x--x/);
  expect(none.of("etc")).toMatch(/^drwxr-xr-x/);
});

test("every start is a clean slate, and the phases and times of it fit together", async () => {
  const script = 'echo "old: $(ls /data)"; rm /data/file; touch /data/new; echo "new: $(ls /data)"';
  const before = Date.now() * 1_000;

  const first = await facts(script);
  const second = await facts(script);

  expect([first.of("old"), first.of("new")]).toEqual(["file", "new"]);
  expect([second.of("old"), second.of("new")]).toEqual(["file", "new"]);
  const { phases, startedAtUs, startPath } = second.launched.vm;
  expect(startPath).toBe("cold");
  expect(phases.map(({ name }) => name)).toEqual([
    ...["vmm.prepare", "vmm.spawn", "guest.boot", "guest.modules", "guest.network", "guest.scratch"],
    ...["vmm.run", "guest.disk", "guest.mount", "guest.exec", "vmm.report"],
  ]);
  for (const [index, phase] of phases.entries()) {
    expect(phase.endUs).toBeGreaterThanOrEqual(phase.startUs);
    expect(phase.startUs).toBe(phases[index - 1]?.endUs ?? phase.startUs);
  }
  const times = [
    before,
    startedAtUs,
    second.launched.lines[0]?.timeUs ?? 0,
    second.exit.exitedAtUs,
    Date.now() * 1_000,
  ];
  expect(times).toEqual([...times].sort((a, b) => a - b));
});

test("the clock is the host's from the first instruction on", async () => {
  const beforeMs = Date.now();
  const launched = await bench.launch(["probe", "clock"]);

  await launched.vm.exited;

  const [line] = launched.lines;
  expect(Number(line?.text)).toBeGreaterThan(Math.max(beforeMs * 1_000, launched.vm.startedAtUs) - 50_000);
  expect(Number(line?.text)).toBeLessThan(Math.min(Date.now() * 1_000, line?.timeUs ?? 0) + 50_000);
});

describe("a program that cannot be run is reported exactly", () => {
  test.concurrent.each([
    ["nowhere", {}, "not_found", 'program "nowhere" does not exist in the image'],
    ["/bin/orphan", {}, "not_found", "interpreter of /bin/orphan does not exist in the image"],
    ["/bin/text", {}, "not_executable", 'program "/bin/text" may not be executed (EACCES)'],
    ["noise", {}, "bad_format", 'program "noise" is not a program this machine can run (ENOEXEC)'],
    ["sh", { user: "nobody" }, "no_such_user", 'the image knows no user or group "nobody"'],
    [
      "sh",
      { workingDir: "/data/file/x" },
      "bad_working_dir",
      "working directory /data/file/x cannot be used: ENOTDIR",
    ],
  ])("%s %o: %s", async (program, more, reason, message) => {
    const failure = await bench.launch([program], more).catch((err: unknown) => err);

    expect(failure).toBeInstanceOf(LaunchError);
    expect(failure).toMatchObject({ kind: "exec", reason, message });
  });
});

describe("an end is reported exactly", () => {
  test("of a process that uses up the memory", async () => {
    const { vm } = await bench.launch(["probe", "hog"], { memoryMb: 128 });

    expect(await vm.exited).toMatchObject({ kind: "process", signal: 9, oomKilled: true });
  });

  test("of a shell whose child used up the memory", async () => {
    const { vm } = await bench.launch(["sh", "-c", "probe hog; exit $?"], { memoryMb: 128 });

    expect(await vm.exited).toMatchObject({ kind: "process", exitCode: 137, oomKilled: true });
  });

  test("of a process that gets signals, handles them, and ends on one", async () => {
    const { vm, texts } = await bench.launch(["probe", "signals"]);
    await expect.poll(texts, { timeout: 60_000 }).toContain("ready");

    await vm.signal(10);
    await expect.poll(texts, { timeout: 60_000 }).toContain("got signal 10");
    await vm.signal(15);

    expect(await vm.exited).toMatchObject({ kind: "process", exitCode: 42, oomKilled: false });
    expect(texts().at(-1)).toBe("got signal 15");
    await vm.signal(15);
  });

  test("of a process that is killed", async () => {
    const { vm } = await bench.launch(["sleep", "1000"]);

    await vm.signal(9);

    expect(await vm.exited).toMatchObject({ kind: "process", signal: 9, oomKilled: false });
  });

  test("of a process whose children would go on without it", async () => {
    const { vm } = await bench.launch(["probe", "leave-child"]);

    expect(await vm.exited).toMatchObject({ kind: "process", exitCode: 5 });
  });

  test("of a VM that the workload switches off", async () => {
    const { vm } = await bench.launch(["sh", "-c", "echo b > /proc/sysrq-trigger; sleep 1000"]);

    expect(await vm.exited).toMatchObject({
      kind: "vm_lost",
      detail: expect.stringContaining("guest-reset"),
    });
  });
});

test("orphans are reaped", async () => {
  const { vm, texts } = await bench.launch(["probe", "orphans"]);

  expect(await vm.exited).toMatchObject({ exitCode: 0 });
  expect(texts()).toEqual(["no zombies"]);
});
