import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findByArgument } from "../../src/hostd/vmm/qemu/process.ts";
import { VmDirs } from "../../src/hostd/vmm/qemu/vm-dirs.ts";
import { POOL_PREFIX } from "../../src/hostd/vmm/qemu/waiting.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { type Bench, openBench, openVmm, qemuPid } from "./vmm-fixture.ts";

const SHAPE = { cpus: 1, memoryMb: 256 };
const READY = { timeout: 120_000, interval: 50 };

let bench: Bench;
let wanted = 0;
let lendableMb = 4_096;
let reclaim: (leftMb: number) => void = () => {};
beforeAll(async () => {
  bench = await openBench({ warmMemoryMb: 2_048 });
  bench.vmm.keepWarm?.({
    shapes: () => Array.from({ length: wanted }, () => SHAPE),
    lend: (megabytes) => megabytes <= lendableMb,
    onReclaim: (tell) => {
      reclaim = tell;
    },
  });
});
afterAll(() => bench?.close());

const waitingNow = () => bench.vmm.warm?.(SHAPE) ?? 0;

/** Waits until so many VMs wait, and no fewer will be made. */
async function pooled(count: number): Promise<void> {
  wanted = count;
  await expect.poll(waitingNow, READY).toBeGreaterThanOrEqual(count);
}

test("a start finds a VM waiting, takes a fraction of a boot, and serves one machine once", async () => {
  await pooled(2);
  const script = 'echo "old: $(ls /data)"; rm /data/file; touch /data/new; hostname; cat /etc/hosts';

  const before = performance.now();
  const first = await bench.launch(["sh", "-c", script], { hostname: "one" });
  const tookMs = performance.now() - before;
  const second = await bench.launch(["sh", "-c", script], { hostname: "two" });

  expect([first.vm.way, second.vm.way]).toEqual(["warm", "warm"]);
  expect(tookMs).toBeLessThan(1_000);
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

test("two VMs from one template have their own randomness, and the host's clock at the first instruction", async () => {
  await pooled(2);
  const random = ["sh", "-c", "head -c 16 /dev/urandom | od -An -tx1 || head -c 16 /dev/urandom | cat"];

  const clock = await bench.launch(["probe", "clock"]);
  await clock.vm.exited;
  const [line] = clock.lines;
  expect(clock.vm.way).toBe("warm");
  expect(Math.abs(Number(line?.text) - (line?.timeUs ?? 0))).toBeLessThan(50_000);
  expect(Math.abs(Number(line?.text) - Date.now() * 1_000)).toBeLessThan(5_000_000);

  await pooled(2);
  const [one, two] = await Promise.all([bench.launch(random), bench.launch(random)]);
  await Promise.all([one.vm.exited, two.vm.exited]);
  expect([one.vm.way, two.vm.way]).toEqual(["warm", "warm"]);
  expect(one.texts().join()).not.toBe("");
  expect(one.texts()).not.toEqual(two.texts());
});

test("without a VM that waits the template serves, with randomness and a clock of its own", async () => {
  await pooled(1);
  wanted = 0;
  reclaim(0);
  const before = lendableMb;
  lendableMb = 0;
  await expect.poll(waitingNow, READY).toBe(0);

  const [one, two] = await Promise.all([
    bench.launch(["sh", "-c", "cat /proc/sys/kernel/random/uuid"]),
    bench.launch(["sh", "-c", "cat /proc/sys/kernel/random/uuid"]),
  ]);
  const clock = await bench.launch(["probe", "clock"]);
  lendableMb = before;

  await Promise.all([one, two, clock].map(({ vm }) => vm.exited));
  expect([one, two, clock].map(({ vm }) => vm.way)).toEqual(["template", "template", "template"]);
  expect(one.texts()).not.toEqual(two.texts());
  const [line] = clock.lines;
  expect(Math.abs(Number(line?.text) - (line?.timeUs ?? 0))).toBeLessThan(50_000);
});

test("a VM that waits is empty: nothing of rehearsals or machines is on its disk", async () => {
  await pooled(1);
  const id = bench.waiting()[0] ?? "";
  const { path, remove } = temporaryFolder("scratch");

  const files = readdirSync(join(bench.dir, "vms", id, "run"));
  const disk = join(bench.dir, "vms", id, "run/scratch.disk");
  execFileSync("debugfs", ["-R", `rdump / ${path}`, disk], { stdio: "ignore" });
  const found = readdirSync(path, { recursive: true, encoding: "utf8" });
  remove();

  expect(files.sort()).toEqual(["agent.sock", "qmp.sock", "scratch.disk"]);
  // What every machine gets, whoever it is; not all of it needs to have reached the disk.
  const etc = ["hosts", "hostname", "resolv.conf"].map((name) => `upper/etc/${name}`);
  const layer = ["upper", "work", ...["proc", "sys", "dev", "etc"].map((name) => `upper/${name}`), ...etc];
  const prepared = ["lost+found", "run", ...layer.map((name) => `run/${name}`)];
  expect(found.filter((name) => !prepared.includes(name))).toEqual([]);
});

test("a VM that dies while it waits, or while it is taken, costs time and nothing else", async () => {
  await pooled(1);
  const doomed = qemuPid(bench.dir, bench.waiting()[0] ?? "");

  // Stopped, it takes the commands and never answers; killed, it fails them half done.
  process.kill(doomed, "SIGSTOP");
  const launching = bench.launch(["sh", "-c", "echo here"]);
  await expect.poll(waitingNow, READY).toBe(0);
  process.kill(doomed, "SIGKILL");
  const { vm, texts } = await launching;

  expect(await vm.exited).toMatchObject({ kind: "process", exitCode: 0 });
  expect(vm.way).not.toBe("warm");
  expect(texts()).toEqual(["here"]);
  expect(vm.phases.map(({ name }) => name)).toContain("vmm.warm_failed");
});

test("a port that is taken fails the start by every way, and the program's own failure too", async () => {
  await pooled(1);
  const server = createServer().listen(0, "127.0.0.1");
  await expect.poll(() => server.address()).not.toBeNull();
  const address = server.address();
  const hostPort = typeof address === "object" && address ? address.port : 0;
  const ports = [{ protocol: "tcp", hostAddress: "127.0.0.1", hostPort, guestPort: 80 }] as const;

  const taken = bench.launch(["sleep", "1"], { ports });
  await expect(taken).rejects.toMatchObject({ kind: "vmm", reason: "port_unavailable" });
  server.close();
  await pooled(1);
  const missing = bench.launch(["nowhere"]);
  await expect(missing).rejects.toMatchObject({ kind: "exec", reason: "not_found" });
});

test("memory that is wanted elsewhere is given back at once", async () => {
  await pooled(2);
  const pids = bench.waiting().map((id) => qemuPid(bench.dir, id));

  lendableMb = 256;
  reclaim(256);

  expect(waitingNow()).toBe(1);
  const alive = () => pids.filter((pid) => existsSync(`/proc/${pid}`)).length;
  await expect.poll(alive, READY).toBe(1);
  lendableMb = 4_096;
});

test("another hostd on the directory ends what waited, and takes the template over", async () => {
  await pooled(1);
  await Promise.all((await bench.vmm.list()).map((id) => bench.vmm.destroy(id)));
  await bench.vmm.close();
  const mark = `${new VmDirs(bench.dir, undefined).mark}${POOL_PREFIX}`;
  expect(findByArgument(mark)).toEqual([]);
  const [name] = readdirSync(join(bench.dir, "templates"));
  const manifest = join(bench.dir, "templates", name ?? "", "template.json");
  const { madeAtMs } = JSON.parse(readFileSync(manifest, "utf8"));

  const made: (number | undefined)[] = [];
  const pool = { waiting() {}, hit() {}, miss() {}, template: (_: unknown, at?: number) => made.push(at) };
  const demand = { shapes: () => [], lend: () => true, onReclaim() {} };
  const again = await openVmm(bench.dir, { warmMemoryMb: 2_048, pool });
  again.keepWarm?.(demand);
  await expect.poll(() => made, READY).toEqual([madeAtMs]);
  await again.close();

  writeFileSync(join(bench.dir, "templates", name ?? "", "state"), "damaged");
  const wary = await openVmm(bench.dir, { warmMemoryMb: 2_048, pool });
  wary.keepWarm?.(demand);
  await expect.poll(() => existsSync(manifest), READY).toBe(false);
  await wary.close();
  expect(made).toEqual([madeAtMs]);
});
