import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TemporaryFolder, temporaryFolder } from "../../support/temporary.ts";
import { type Bench, openBench, packImage } from "../support/fixture.ts";

let bench: Bench;
let folder: TemporaryFolder;
beforeAll(async () => {
  bench = await openBench();
  folder = temporaryFolder("process");
});
afterAll(async () => {
  await bench?.close();
  folder?.remove();
});

/**
 * An init that insists on being process 1, with a service whose end is its own. It is ready when the service is one:
 * a shell that has only forked loses a signal between its own traps and those of the program.
 */
const INIT = `#!/bin/sh
[ $$ -eq 1 ] || exit 100
trap 'kill $service; wait $service; echo "service: $?"; exit 3' TERM
sleep 1000 & service=$!
echo "processes: $(cd /proc && echo [0-9]* | wc -w) of $(cat /proc/1/comm)"
echo "parents: $(cut -d' ' -f4 /proc/1/stat) $(cut -d' ' -f4 /proc/$service/stat)"
echo "cgroup: $(cat /proc/1/cgroup)"
echo "container: $container"
kill -9 -1
wait $service; echo "killed: $?"
sleep 1000 & service=$!
until [ "$(cat /proc/$service/comm)" = sleep ]; do :; done
echo ready
wait $service
`;

test("an init that insists on being process 1 is, with /proc to match; the agent is out of its reach", async () => {
  const root = join(folder.path, "root");
  for (const dir of ["bin", "sbin", "proc"]) mkdirSync(join(root, dir), { recursive: true });
  copyFileSync("/bin/busybox", join(root, "bin/busybox"));
  for (const name of ["sh", "cat", "cut", "sleep", "wc"]) symlinkSync("busybox", join(root, "bin", name));
  writeFileSync(join(root, "sbin/init"), INIT);
  chmodSync(join(root, "sbin/init"), 0o755);
  const image = join(folder.path, "init.sqfs");
  packImage(root, image);

  const { vm, texts } = await bench.launch(["/sbin/init"], { rootfs: image });
  await expect.poll(texts, { timeout: 60_000 }).toContain("ready");
  await vm.signal(15);

  expect(await vm.exited).toMatchObject({ kind: "process", exitCode: 3 });
  const text = texts().join("\n");
  expect(text).toContain("parents: 0 1");
  expect(text).toContain("cgroup: 0::/");
  expect(text).toContain("container: windhover");
  // Itself, its service, and the shells that the substitution runs.
  expect(Number(/processes: (\d+) of init/.exec(text)?.[1])).toBeLessThan(6);
  expect(text).toContain("killed: 137");
  expect(text).toContain("service: 143");
});

describe("process 1 ends by signals as any other does", () => {
  test.each([15, 34])("by signal %i from outside, which it leaves at its default", async (signal) => {
    const { vm } = await bench.launch(["sleep", "1000"]);

    await vm.signal(signal);

    expect(await vm.exited).toMatchObject({ kind: "process", signal, oomKilled: false });
  });

  test.each([
    ["by one that it sends itself", ["sh", "-c", "kill -TERM $$; sleep 1000"], 15],
    ["by SIGKILL that its child sends", ["sh", "-c", "(kill -9 1); sleep 1000"], 9],
    ["by abort(3)", ["probe", "abort"], 6],
  ])("%s", async (_, argv, signal) => {
    expect(await (await bench.launch(argv)).vm.exited).toMatchObject({ kind: "process", signal });
  });

  test("but not by one that it ignores, waits for, or handles", async () => {
    const script =
      "trap '' INT; trap 'echo got USR1' USR1; trap 'exit 9' TERM; echo ready; while :; do sleep 1; done";
    const { vm, texts } = await bench.launch(["sh", "-c", script]);
    await expect.poll(texts, { timeout: 60_000 }).toContain("ready");

    await vm.signal(2);
    await vm.signal(10);
    await expect.poll(texts, { timeout: 60_000 }).toContain("got USR1");
    await vm.signal(15);

    expect(await vm.exited).toMatchObject({ kind: "process", exitCode: 9 });
  });
});

test("volumes exist, empty and writable, and those of the image keep their files", async () => {
  const script =
    "ls /new/volume | wc -l; echo x > /new/volume/file && cat /new/volume/file /data/file; df /new | grep -c overlay";

  const { vm, texts } = await bench.launch(["sh", "-c", script], { volumes: ["/new/volume", "/data"] });

  expect(await vm.exited).toMatchObject({ exitCode: 0 });
  expect(texts()).toEqual(["0", "x", "from the image", "1"]);
});

test("an image that cannot have what it asks for is at fault, at once", async () => {
  const launches = [
    bench.launch(["sh"], { volumes: ["/data/file/x"] }),
    bench.launch(["sh", ...Array.from({ length: 5_000 }, () => "x")]),
    bench.launch(["sh", "x".repeat(200_000)]),
    bench.launch(["aarch64"]),
  ];

  const failures = await Promise.all(launches.map((launch) => launch.catch((err: unknown) => err)));

  expect(failures).toMatchObject([
    {
      kind: "exec",
      reason: "bad_volume",
      message: "volume /data/file/x cannot be made in the image: ENOTDIR",
    },
    { kind: "exec", reason: "bad_request", message: "the guest refused the request: too many arguments" },
    { kind: "exec", reason: "other", message: 'program "sh" cannot be executed: E2BIG' },
    { kind: "exec", reason: "bad_format", message: expect.stringContaining("made for aarch64") },
  ]);
});

test("programs for x86-64-v3 run, and keep their registers apart", async () => {
  const { vm, texts } = await bench.launch(["probe", "vectors"]);

  expect(await vm.exited).toMatchObject({ exitCode: 0 });
  expect(texts()).toEqual(expect.arrayContaining(["parent 1", "child 1", "v3 1"]));
});
