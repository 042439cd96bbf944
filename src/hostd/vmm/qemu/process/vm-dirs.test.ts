import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findByArgument, identify, isAlive, killAndWait } from "./process-id.ts";
import { restoreDisk } from "./scratch-disk.ts";
import { VmDirs } from "./vm-dirs.ts";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "wh-dirs-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe("a host's VM directories", () => {
  test("keep a record that is read back, or none", () => {
    const dirs = new VmDirs(dir, undefined);
    dirs.create("a");
    const record = { qemu: { pid: 5, startTicks: "9" }, startPath: "cold" } as const;

    dirs.writeRecord("a", record);

    expect(dirs.readRecord("a")).toEqual(record);
    expect(dirs.readRecord("b")).toBeUndefined();
    writeFileSync(join(dir, "vms/a/vm.json"), "{");
    expect(dirs.readRecord("a")).toBeUndefined();
    expect(dirs.list()).toEqual(["a"]);
  });

  test("are gone after remove, however often", async () => {
    const dirs = new VmDirs(dir, undefined);
    dirs.create("a");

    await dirs.remove("a");
    await dirs.remove("a");

    expect(await dirs.has("a")).toBe(false);
    expect(() => dirs.create("a")).not.toThrow();
    expect(() => dirs.create("a")).toThrow("EEXIST");
  });

  test.each(["", "..", "a/b", ".hidden", "x".repeat(65)])("refuse the id %j", (id) => {
    expect(() => new VmDirs(dir, undefined).path(id)).toThrow("is no id");
  });

  test("mark the processes of one host differently from another's", () => {
    expect(new VmDirs(dir, undefined).namePrefix).toBe(new VmDirs(dir, 5).namePrefix);
    expect(new VmDirs(dir, undefined).namePrefix).not.toBe(
      new VmDirs(join(dir, "other"), undefined).namePrefix,
    );
  });

  test("give each VM a uid of its own, and one that is free again to the next; only root can", async () => {
    const isRoot = process.getuid?.() === 0;
    const dirs = new VmDirs(dir, 1_234_000);
    if (!isRoot) {
      expect(() => dirs.create("a")).toThrow("EPERM");
      return;
    }
    const uids = ["a", "b", "c"].map((id) => dirs.create(id).uid);
    await dirs.remove("b");

    expect(uids).toEqual([1_234_000, 1_234_001, 1_234_002]);
    const again = new VmDirs(dir, 1_234_000).create("d");
    expect(again.uid).toBe(1_234_001);
    expect(statSync(again.runDir).uid).toBe(1_234_001);
    expect(statSync(join(dir, "vms/d")).uid).toBe(0);
  });

  test("give VMs our own uid when they run as we do", () => {
    const dirs = new VmDirs(dir, undefined);
    const own = process.getuid?.();

    for (const id of ["a", "b"]) {
      const { uid, runDir } = dirs.create(id);
      expect(uid).toBe(own);
      expect(statSync(runDir).uid).toBe(own);
    }
  });

  test("keep little of QEMU's standard error", () => {
    const dirs = new VmDirs(dir, undefined);
    dirs.create("a");
    writeFileSync(dirs.stderr("a"), `${"x".repeat(100_000)}\nthe  end\n`);

    expect(dirs.readStderr("a")).toMatch(/x the end$/);
    dirs.trimStderr("a");

    expect(dirs.readStderr("a")).toBe("");
  });
});

describe("a process", () => {
  test("is distinguished from a later one with its pid, found by its argument, and killed", async () => {
    const mark = `windhover-test-${process.pid}-`;
    const child = spawn("sleep", ["1000"], { argv0: `${mark}x` });
    await once(child, "spawn");
    const id = identify(child.pid ?? 0);
    if (!id) throw new Error("the child has no identity");

    expect(isAlive(id)).toBe(true);
    expect(isAlive({ ...id, startTicks: "1" })).toBe(false);
    await expect.poll(() => findByArgument(mark)).toEqual([{ id, argument: `${mark}x` }]);
    await killAndWait([id, { pid: process.pid, startTicks: "1" }], 15_000);

    expect(isAlive(id)).toBe(false);
    expect(findByArgument(mark)).toEqual([]);
  });
});

test("a disk made from extents is sparse and holds them where they belong", () => {
  const file = join(dir, "disk");

  restoreDisk(
    file,
    1024 ** 3,
    [
      [4096, 3],
      [1024 ** 3 - 4, 4],
    ],
    Buffer.from("abcdefg"),
  );

  const { size, blocks } = statSync(file);
  expect(size).toBe(1024 ** 3);
  expect(blocks * 512).toBeLessThan(1024 * 1024);
  expect(existsSync(file)).toBe(true);
  expect(() => restoreDisk(file, 1, [], Buffer.alloc(0))).toThrow("EEXIST");
});
