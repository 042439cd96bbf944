import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { NO_POOL_METRICS } from "../../src/hostd/vmm/pool-metrics.ts";
import { loadGuestAssets } from "../../src/hostd/vmm/qemu/process/guest-assets.ts";
import { findByArgument } from "../../src/hostd/vmm/qemu/process/process-id.ts";
import { allocatedBlocks, isUnwritten, restoreDisk } from "../../src/hostd/vmm/qemu/process/scratch-disk.ts";
import { POOL_PREFIX, VmDirs } from "../../src/hostd/vmm/qemu/process/vm-dirs.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { type Bench, type Launched, openBench, openVmm, plainWorkload, qemuPid } from "./vmm-fixture.ts";
import { holds, watchCalls } from "./vmm-watch.ts";

const SHAPE = { cpus: 1, memoryMb: 256 };
const READY = { timeout: 120_000, interval: 50 };

let bench: Bench;
let wanted = 0;
let availableMb = 4_096;
let reclaim: (leftMb: number) => void = () => {};
beforeAll(async () => {
  bench = await openBench({ warmMemoryMb: 2_048 });
  bench.vmm.keepWarm?.({
    shapes: () => Array.from({ length: wanted }, () => SHAPE),
    setReclaimable: (megabytes) => megabytes <= availableMb,
    onReclaim: (listener) => {
      reclaim = listener;
    },
  });
});
afterAll(() => bench?.close());

const waitingNow = () => bench.vmm.warm?.(SHAPE) ?? 0;

/** Waits until there are that many warm VMs. */
async function pooled(count: number): Promise<void> {
  wanted = count;
  await expect.poll(waitingNow, READY).toBeGreaterThanOrEqual(count);
}

test("a warm start takes a fraction of a boot, and its VM serves one machine once", async () => {
  await pooled(2);
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
  await pooled(1);
  const before = waitingNow();

  expect(bench.vmm.reserveWarm?.("vm-reserved", SHAPE)).toBe(true);
  expect(waitingNow()).toBe(before - 1);
  const sink = { onLog() {} };
  const { signal } = new AbortController();
  const workload = plainWorkload(bench.image, ["sleep", "1000"]);
  const vm = await bench.vmm.launch({ vmId: "vm-reserved", shape: SHAPE, workload, sink }, signal);
  expect(vm.startPath).toBe("warm");
  await bench.vmm.destroy(vm.id);

  await pooled(1);
  const all = bench.waiting();
  expect(bench.vmm.reserveWarm?.("vm-released", SHAPE)).toBe(true);
  await bench.vmm.destroy("vm-released");
  expect(all.filter((id) => !bench.waiting().includes(id))).toHaveLength(1);
});

test("a warm start waits for no file, and starts no process", async () => {
  await pooled(1);
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

/** Prints what two VMs from one template must not share. */
const SELF =
  "head -c 16 /dev/urandom | hexdump -v -e '16/1 \"%02x\"'; echo; cat /proc/sys/kernel/random/boot_id";

test("two VMs from one template have their own randomness and boot id, and the host's clock from the first instruction", async () => {
  await pooled(2);

  const clock = await bench.launch(["probe", "clock"]);
  await clock.vm.exited;
  expect(clock.vm.startPath).toBe("warm");
  isOnTime(clock);

  await pooled(2);
  const two = await Promise.all([bench.launch(["sh", "-c", SELF]), bench.launch(["sh", "-c", SELF])]);
  await Promise.all(two.map(({ vm }) => vm.exited));
  expect(two.map(({ vm }) => vm.startPath)).toEqual(["warm", "warm"]);
  areDifferent(two);
});

test("without a warm VM the template is cloned, with randomness, boot id and clock of its own", async () => {
  await pooled(1);
  wanted = 0;
  reclaim(0);
  const before = availableMb;
  availableMb = 0;
  await expect.poll(waitingNow, READY).toBe(0);

  const two = await Promise.all([bench.launch(["sh", "-c", SELF]), bench.launch(["sh", "-c", SELF])]);
  const clock = await bench.launch(["probe", "clock"]);
  availableMb = before;

  await Promise.all([...two, clock].map(({ vm }) => vm.exited));
  expect([...two, clock].map(({ vm }) => vm.startPath)).toEqual(["template", "template", "template"]);
  areDifferent(two);
  isOnTime(clock);
});

/** Compares the guest's clock, as the program read it first, with the host's. */
function isOnTime({ lines }: Launched): void {
  const [line] = lines;
  expect(Math.abs(Number(line?.text) - (line?.timeUs ?? 0))).toBeLessThan(50_000);
  expect(Math.abs(Number(line?.text) - Date.now() * 1_000)).toBeLessThan(60_000_000);
}

function areDifferent([one, two]: readonly Launched[]): void {
  const [random, boot] = [one, two].map((each) => each?.texts() ?? []);
  for (const texts of [random, boot]) {
    expect(texts).toEqual([
      expect.stringMatching(/^[0-9a-f]{32}$/),
      expect.stringMatching(/^[0-9a-f-]{36}$/),
    ]);
  }
  expect(random?.[0]).not.toBe(boot?.[0]);
  expect(random?.[1]).not.toBe(boot?.[1]);
}

test("no data of a machine is in the memory of templates and warm VMs", async () => {
  await pooled(1);
  const secret = randomBytes(12).toString("hex");
  const script = 'echo "$SECRET" > /data/kept; cat /data/kept; echo done';
  const { vm, texts } = await bench.launch(["sh", "-c", script], { env: { SECRET: secret } });
  await vm.exited;
  expect(texts()).toEqual([secret, "done"]);
  // The search does find it in its own VM.
  expect(holds(qemuPid(bench.dir, vm.id), secret)).toBe(true);
  await bench.vmm.destroy(vm.id);

  await pooled(2);
  for (const id of bench.waiting()) expect(holds(qemuPid(bench.dir, id), secret)).toBe(false);
  const template = readdirSync(join(bench.dir, "templates"), { recursive: true, encoding: "utf8" });
  expect(template.map((file) => basename(file))).toContain("memory");
  for (const file of template.map((name) => join(bench.dir, "templates", name))) {
    if (statSync(file).isFile()) expect(readFileSync(file).includes(secret)).toBe(false);
  }
});

test("no data of warm-ups or machines is on the disk of a warm VM", async () => {
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
  await pooled(1);
  wanted = 0;
  const pids = bench.waiting().map((id) => qemuPid(bench.dir, id));
  const before = waitingNow();

  // Stopped, they do not answer commands; killed, they fail them.
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  const launching = bench.launch(["sh", "-c", "echo here"]);
  await expect.poll(waitingNow, READY).toBeLessThan(before);
  for (const pid of pids) process.kill(pid, "SIGKILL");
  const { vm, texts } = await launching;

  expect(await vm.exited).toMatchObject({ kind: "process", exitCode: 0 });
  expect(vm.startPath).not.toBe("warm");
  expect(texts()).toEqual(["here"]);
  expect(vm.phases.map(({ name }) => name)).toContain("vmm.warm_failed");
});

test("a port in use fails the start on all start paths, and so does the program's own failure", async () => {
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

test("a warm VM runs nothing before its start is stored, and is gone when that fails", async () => {
  await pooled(2);
  const lines: string[] = [];
  const sink = { onLog: ({ text }: { text: string }) => void lines.push(text) };
  const signal = new AbortController().signal;
  const launch = (vmId: string, stored: Promise<void>) => {
    const workload = plainWorkload(bench.image, ["sh", "-c", `echo ${vmId}`]);
    return bench.vmm.launch({ vmId, shape: SHAPE, workload, sink, stored }, signal);
  };
  const isThere = (id: string) => existsSync(new VmDirs(bench.dir, undefined).runDir(id));

  const refusal = Promise.withResolvers<void>();
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
  await pooled(2);
  const pids = bench.waiting().map((id) => qemuPid(bench.dir, id));

  availableMb = 256;
  reclaim(256);

  expect(waitingNow()).toBe(1);
  const alive = () => pids.filter((pid) => existsSync(`/proc/${pid}`)).length;
  await expect.poll(alive, READY).toBe(1);
  availableMb = 4_096;
});

test("the next hostd ends the warm VMs, and keeps the template", async () => {
  await pooled(1);
  await Promise.all((await bench.vmm.list()).map((id) => bench.vmm.destroy(id)));
  await bench.vmm.close();
  const prefix = `${new VmDirs(bench.dir, undefined).namePrefix}${POOL_PREFIX}`;
  expect(findByArgument(prefix)).toEqual([]);
  const [name] = readdirSync(join(bench.dir, "templates"));
  const manifest = join(bench.dir, "templates", name ?? "", "template.json");
  const { madeAtMs } = JSON.parse(readFileSync(manifest, "utf8"));

  const made: (number | undefined)[] = [];
  const template = (_: unknown, at?: number) => made.push(at);
  const metrics = { ...NO_POOL_METRICS, template };
  const demand = { shapes: () => [], setReclaimable: () => true, onReclaim() {} };
  const again = await openVmm(bench.dir, { warmMemoryMb: 2_048, metrics });
  again.keepWarm?.(demand);
  await expect.poll(() => made, READY).toEqual([madeAtMs]);
  await again.close();

  writeFileSync(join(bench.dir, "templates", name ?? "", "state"), "damaged");
  const next = await openVmm(bench.dir, { warmMemoryMb: 2_048, metrics });
  next.keepWarm?.(demand);
  await expect.poll(() => existsSync(manifest), READY).toBe(false);
  await next.close();
  expect(made).toEqual([madeAtMs]);
});
