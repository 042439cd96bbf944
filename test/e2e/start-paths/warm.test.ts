import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadGuestAssets } from "../../../src/hostd/vmm/qemu/process/guest-assets.ts";
import {
  allocatedBlocks,
  isUnwritten,
  restoreDisk,
} from "../../../src/hostd/vmm/qemu/process/scratch-disk.ts";
import { VmDirs } from "../../../src/hostd/vmm/qemu/process/vm-dirs.ts";
import { type Bench, plainWorkload, qemuPid } from "../support/fixture.ts";
import { READY, SHAPE, WarmPool } from "../support/warm-pool.ts";
import { watchCalls } from "../support/watch.ts";

let pool: WarmPool;
let bench: Bench;
beforeAll(async () => {
  pool = await WarmPool.open();
  bench = pool.bench;
});
afterAll(() => bench?.close());

test("a warm start takes a fraction of a boot, and its VM serves one machine once", async () => {
  await pool.fill(2);
  const script = 'echo "old: $(ls /data)"; rm /data/file; touch /data/new; hostname; cat /etc/hosts';

  const times = [performance.now()];
  const first = await bench.launch(["sh", "-c", script], { hostname: "one" });
  times.push(performance.now());
  const second = await bench.launch(["sh", "-c", script], { hostname: "two" });
  times.push(performance.now());

  expect([first.vm.startPath, second.vm.startPath]).toEqual(["warm", "warm"]);
  const [began = 0, between = 0, ended = 0] = times;
  const bootMs = Number(/guest reported after (\d+) ms/.exec(bench.vmm.info.reason)?.[1]);
  expect(Math.min(between - began, ended - between)).toBeLessThan(bootMs / 2);
  for (const each of [first, second]) {
    expect(await each.vm.exited).toMatchObject({ kind: "process", exitCode: 0 });
    expect(each.texts()[0]).toBe("old: file");
    expect(each.lines[0]?.number).toBe(1);
  }
  expect(first.texts()[1]).toBe("one");
  expect(second.texts().join()).not.toContain("one");
  expect(first.vm.phases.map(({ name }) => name)).toEqual([
    ...["vmm.claim", "vmm.swap", "vmm.run", "guest.disk", "guest.mount", "guest.exec", "vmm.report"],
  ]);
  expect((await bench.vmm.list()).toSorted()).toEqual([first.vm.id, second.vm.id]);
  for (const { vm } of [first, second]) await bench.vmm.destroy(vm.id);
  expect(await bench.vmm.list()).toEqual([]);
});

test("a reserved VM serves its launch only, and is gone when that does not come", async () => {
  await pool.fill(1);
  const before = pool.size;

  expect(bench.vmm.reserveWarm?.("vm-reserved", SHAPE)).toBe(true);
  expect(pool.size).toBe(before - 1);
  const sink = { onLog() {} };
  const { signal } = new AbortController();
  const workload = plainWorkload(bench.image, ["sleep", "1000"]);
  const vm = await bench.vmm.launch({ vmId: "vm-reserved", shape: SHAPE, workload, sink }, signal);
  expect(vm.startPath).toBe("warm");
  await bench.vmm.destroy(vm.id);

  await pool.fill(1);
  const all = bench.waiting();
  expect(bench.vmm.reserveWarm?.("vm-released", SHAPE)).toBe(true);
  await bench.vmm.destroy("vm-released");
  expect(all.filter((id) => !bench.waiting().includes(id))).toHaveLength(1);
});

test("a warm start waits for no file, and starts no process", async () => {
  await pool.fill(1);
  const watch = watchCalls();

  const { vm } = await bench.launch(["sleep", "1000"]).finally(watch.stop);

  expect(vm.startPath).toBe("warm");
  expect(watch.calls).toEqual([]);
  // The watch does see such calls.
  const again = watchCalls();
  existsSync(bench.dir);
  again.stop();
  expect(again.calls).toEqual(["existsSync"]);
  await bench.vmm.destroy(vm.id);
});

test("what a machine writes stays in its memory while that has room", async () => {
  // The guest's kernel looks for data to write 5 s after the first, unless it is told otherwise.
  const { vm, texts } = await bench.launch(["sh", "-c", "echo data > /data/new; sleep 7; cat /data/new"]);
  await vm.exited;
  expect(texts()).toEqual(["data"]);

  const { sizeBytes, extents, data } = loadGuestAssets(bench.guestDir).scratch;
  const [disk, empty] = ["run/scratch.disk", "empty.disk"].map((name) =>
    join(bench.dir, "vms", vm.id, name),
  ) as [string, string];
  restoreDisk(empty, sizeBytes, extents, data);
  expect(await isUnwritten(disk, await allocatedBlocks(empty), extents, data)).toBe(true);
  await bench.vmm.destroy(vm.id);
});

test("warm VMs that die, also during their claim, only make the start slower", async () => {
  await pool.fill(1);
  pool.wanted = 0;
  const pids = bench.waiting().map((id) => qemuPid(bench.dir, id));
  const before = pool.size;

  // Stopped, they do not answer commands; killed, they fail them.
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  const launching = bench.launch(["sh", "-c", "echo here"]);
  await expect.poll(() => pool.size, READY).toBeLessThan(before);
  for (const pid of pids) process.kill(pid, "SIGKILL");
  const { vm, texts } = await launching;

  expect(await vm.exited).toMatchObject({ kind: "process", exitCode: 0 });
  expect(vm.startPath).not.toBe("warm");
  expect(texts()).toEqual(["here"]);
  expect(vm.phases.map(({ name }) => name)).toContain("vmm.warm_failed");
  expect(vm.notFaster).toMatch(/^warm_failed/);
});

test("a port in use fails the start on all start paths, and so does the program's own failure", async () => {
  await pool.fill(1);
  const server = createServer().listen(0, "127.0.0.1");
  await expect.poll(() => server.address()).not.toBeNull();
  const address = server.address();
  const hostPort = typeof address === "object" && address ? address.port : 0;
  const ports = [{ protocol: "tcp", hostAddress: "127.0.0.1", hostPort, guestPort: 80 }] as const;

  const taken = bench.launch(["sleep", "1"], { ports });
  await expect(taken).rejects.toMatchObject({ kind: "vmm", reason: "port_unavailable" });
  server.close();
  await pool.fill(1);
  const missing = bench.launch(["nowhere"]);
  await expect(missing).rejects.toMatchObject({ kind: "exec", reason: "not_found" });
});

test("a warm VM runs nothing before its start is stored, and is gone when that fails", async () => {
  await pool.fill(2);
  const lines: string[] = [];
  const sink = { onLog: ({ text }: { text: string }) => void lines.push(text) };
  const signal = new AbortController().signal;
  const launch = (vmId: string, stored: Promise<void>) => {
    const workload = plainWorkload(bench.image, ["sh", "-c", `echo ${vmId}`]);
    return bench.vmm.launch({ vmId, shape: SHAPE, workload, sink, stored }, signal);
  };
  const isThere = (id: string) => existsSync(new VmDirs(bench.dir, undefined).runDir(id));

  const refusal = Promise.withResolvers<void>();
  // The launch asks for it only once its VM is there.
  refusal.promise.catch(() => undefined);
  const refused = launch("refused", refusal.promise);
  await expect.poll(() => isThere("refused")).toBe(true);
  refusal.reject(new Error("the disk is full"));
  await expect(refused).rejects.toMatchObject({ kind: "vmm", reason: "not_stored" });
  expect(isThere("refused")).toBe(false);
  expect(await bench.vmm.list()).not.toContain("refused");

  const record = Promise.withResolvers<void>();
  const launching = launch("stored", record.promise);
  await expect.poll(() => isThere("stored")).toBe(true);
  const storedAtUs = Date.now() * 1_000;
  record.resolve();
  const vm = await launching;
  await vm.exited;
  expect(vm.startPath).toBe("warm");
  expect(vm.startedAtUs).toBeGreaterThanOrEqual(storedAtUs);
  expect(lines).toEqual(["stored"]);
});

test("reclaimed memory is free at once", async () => {
  await pool.fill(2);
  const pids = bench.waiting().map((id) => qemuPid(bench.dir, id));

  pool.availableMb = 256;
  pool.reclaim(256);

  expect(pool.size).toBe(1);
  const alive = () => pids.filter((pid) => existsSync(`/proc/${pid}`)).length;
  await expect.poll(alive, READY).toBe(1);
  pool.availableMb = 4_096;
});
