import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TemporaryFolder, temporaryFolder } from "../../support/temporary.ts";
import { type Bench, openBench, packImage } from "../support/fixture.ts";

let bench: Bench;
let folder: TemporaryFolder;
let image: string;
beforeAll(async () => {
  bench = await openBench();
  folder = temporaryFolder("memory");
  image = makeImage(folder.path);
});
afterAll(async () => {
  await bench?.close();
  folder?.remove();
});

/** Makes an image with a program whose own text and libraries are files that the kernel may drop from memory. */
function makeImage(dir: string): string {
  const root = join(dir, "root");
  const perl = "/usr/bin/perl";
  const libraries = execFileSync("ldd", [perl], { encoding: "utf8" }).match(/\/\S+\.so\S*/g) ?? [];
  for (const file of [perl, ...libraries]) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    copyFileSync(file, join(root, file));
  }
  mkdirSync(join(root, "bin"), { recursive: true });
  copyFileSync("/bin/busybox", join(root, "bin/busybox"));
  for (const name of ["sh", "cat", "dd", "sleep", "seq", "wc"])
    symlinkSync("busybox", join(root, "bin", name));
  const packed = join(dir, "image.sqfs");
  packImage(root, packed);
  return packed;
}

/** Uses 400 MB, a megabyte at a time. */
const EAT = ["perl", "-e", 'push @all, "x" x 1048576 for 1 .. 400; sleep 1000'];
/** Uses a little more every millisecond, and has a child that sleeps. */
const SLOWLY =
  'fork || exec "sleep", "1000"; while (1) { push @all, "x" x 524288; select undef, undef, undef, 0.001 }';
const KILLED = { kind: "process", signal: 9, oomKilled: true };

async function run(argv: readonly string[], more: Parameters<Bench["launch"]>[1] = {}) {
  const { vm, texts } = await bench.launch(argv, { rootfs: image, ...more });
  return { exit: await vm.exited, texts: texts() };
}

describe("a program that uses up the memory is killed, and the exit says so", () => {
  test.each([
    ["alone", EAT, {}],
    [
      "with more memory and processors",
      EAT.map((word) => word.replace("400", "800")),
      { memoryMb: 512, cpus: 2 },
    ],
    ["slowly, beside a process that sleeps", ["perl", "-e", SLOWLY], {}],
  ])("%s", async (_, argv, more) => {
    expect((await run(argv, more)).exit).toMatchObject(KILLED);
  });
});

test("the largest of many processes is killed, and the shell that started them goes on", async () => {
  const small = `perl -e '$x = "x" x (2 << 20); sleep 1000' & `;
  const script = `${small.repeat(4)} perl -e '${EAT[2]}'; echo "large: $?"; kill $(seq 2 5); wait 2; echo "small: $?"`;

  const { exit, texts } = await run(["sh", "-c", script]);

  expect(texts.filter((line) => line.includes(": "))).toEqual(["large: 137", "small: 143"]);
  expect(exit).toMatchObject({ kind: "process", exitCode: 0, oomKilled: false });
});

test("files that are read or written do not count, whatever their size; those in /dev/shm do", async () => {
  const script = [
    // Together more than there is, beside a program that leaves them little.
    `perl -e 'push @all, "x" x 1048576 for 1 .. 140; sleep 1000' & big=$!`,
    "dd if=/dev/zero of=/file bs=1M count=80 2>/dev/null",
    "for i in 1 2; do cat /file | wc -c; done",
    "kill -0 $big && echo still there; kill $big; wait",
    "dd if=/dev/zero of=/dev/shm/file bs=1M count=90 2>/dev/null; echo shm",
    `perl -e 'push @all, "x" x 1048576 for 1 .. 120'; echo "beside shm: $?"`,
  ].join("\n");

  const { exit, texts } = await run(["sh", "-c", script]);

  const bytes = String(80 * 1024 * 1024);
  expect(texts.filter((line) => line !== "Killed")).toEqual([
    bytes,
    bytes,
    "still there",
    "shm",
    "beside shm: 137",
  ]);
  expect(exit).toMatchObject({ kind: "process", exitCode: 0 });
});

test("the program knows its limit, and has more than 2,000 threads", async () => {
  const { vm, texts } = await bench.launch(["probe", "threads", "3000"]);

  expect(await vm.exited).toMatchObject({ kind: "process", exitCode: 0 });
  const limit = Number(/limit (\d+)/.exec(texts().join())?.[1]) / 1024 / 1024;
  expect(limit).toBeGreaterThan(170);
  expect(limit).toBeLessThan(200);
  expect(texts()).toContain("3000 threads");
});
