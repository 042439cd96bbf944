import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { NO_POOL_METRICS } from "../../../src/hostd/vmm/pool-metrics.ts";
import { findByArgument } from "../../../src/hostd/vmm/qemu/process/process-id.ts";
import { POOL_PREFIX, VmDirs } from "../../../src/hostd/vmm/qemu/process/vm-dirs.ts";
import { temporaryFolder } from "../../support/temporary.ts";
import { type Bench, type Launched, openVmm, qemuPid } from "../support/fixture.ts";
import { READY, WARM_MEMORY_MB, WarmPool } from "../support/warm-pool.ts";
import { holds } from "../support/watch.ts";

let pool: WarmPool;
let bench: Bench;
beforeAll(async () => {
  pool = await WarmPool.open();
  bench = pool.bench;
});
afterAll(() => bench?.close());

/** Prints what two VMs from one template must not share. */
const SELF =
  "head -c 16 /dev/urandom | hexdump -v -e '16/1 \"%02x\"'; echo; cat /proc/sys/kernel/random/boot_id";

test("two VMs from one template have their own randomness and boot id, and the host's clock from the first instruction", async () => {
  await pool.fill(2);

  const beforeMs = Date.now();
  const clock = await bench.launch(["probe", "clock"]);
  await clock.vm.exited;
  expect(clock.vm.startPath).toBe("warm");
  isOnTime(clock, beforeMs);

  await pool.fill(2);
  const two = await Promise.all([bench.launch(["sh", "-c", SELF]), bench.launch(["sh", "-c", SELF])]);
  await Promise.all(two.map(({ vm }) => vm.exited));
  expect(two.map(({ vm }) => vm.startPath)).toEqual(["warm", "warm"]);
  areDifferent(two);
});

test("without a warm VM the template is cloned, with randomness, boot id and clock of its own", async () => {
  await pool.fill(1);
  pool.wanted = 0;
  pool.reclaim(0);
  const before = pool.availableMb;
  pool.availableMb = 0;
  await expect.poll(() => pool.size, READY).toBe(0);

  const two = await Promise.all([bench.launch(["sh", "-c", SELF]), bench.launch(["sh", "-c", SELF])]);
  const beforeMs = Date.now();
  const clock = await bench.launch(["probe", "clock"]);
  pool.availableMb = before;

  await Promise.all([...two, clock].map(({ vm }) => vm.exited));
  expect([...two, clock].map(({ vm }) => vm.startPath)).toEqual(["template", "template", "template"]);
  areDifferent(two);
  isOnTime(clock, beforeMs);
});

/** Expects that the program read a time between the launch and now, and between its exec and its line, to 50 ms. */
function isOnTime({ vm, lines: [line] }: Launched, beforeMs: number): void {
  const readUs = Number(line?.text);
  expect(readUs).toBeGreaterThan(Math.max(beforeMs * 1_000, vm.startedAtUs) - 50_000);
  expect(readUs).toBeLessThan(Math.min(Date.now() * 1_000, line?.timeUs ?? 0) + 50_000);
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
  await pool.fill(1);
  const secret = randomBytes(12).toString("hex");
  const script = 'echo "$SECRET" > /data/kept; cat /data/kept; echo done';
  const { vm, texts } = await bench.launch(["sh", "-c", script], { env: { SECRET: secret } });
  await vm.exited;
  expect(texts()).toEqual([secret, "done"]);
  // The search does find it in its own VM.
  expect(holds(qemuPid(bench.dir, vm.id), secret)).toBe(true);
  await bench.vmm.destroy(vm.id);

  await pool.fill(2);
  for (const id of bench.waiting()) expect(holds(qemuPid(bench.dir, id), secret)).toBe(false);
  const template = readdirSync(join(bench.dir, "templates"), { recursive: true, encoding: "utf8" });
  expect(template.map((file) => basename(file))).toContain("memory");
  for (const file of template.map((name) => join(bench.dir, "templates", name))) {
    if (statSync(file).isFile()) expect(readFileSync(file).includes(secret)).toBe(false);
  }
});

test("no data of warm-ups or machines is on the disk of a warm VM", async () => {
  await pool.fill(1);
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

test("the next hostd ends the warm VMs, and keeps the template", async () => {
  await pool.fill(1);
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
  const again = await openVmm(bench.dir, { warmMemoryMb: WARM_MEMORY_MB, metrics });
  again.keepWarm?.(demand);
  await expect.poll(() => made, READY).toEqual([madeAtMs]);
  await again.close();

  writeFileSync(join(bench.dir, "templates", name ?? "", "state"), "damaged");
  const next = await openVmm(bench.dir, { warmMemoryMb: WARM_MEMORY_MB, metrics });
  next.keepWarm?.(demand);
  await expect.poll(() => existsSync(manifest), READY).toBe(false);
  await next.close();
  expect(made).toEqual([madeAtMs]);
});
