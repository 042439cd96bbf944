import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findByArgument } from "../../../src/hostd/vmm/qemu/process/process-id.ts";
import { VmDirs } from "../../../src/hostd/vmm/qemu/process/vm-dirs.ts";
import type { LogLine, Vmm } from "../../../src/hostd/vmm/vmm.ts";
import { bound } from "../../support/servers/bound.ts";
import { type Bench, isAtRest, openBench, openVmm, plainWorkload, qemuPid } from "../support/fixture.ts";

let bench: Bench;
let again: Vmm;
const launchers: ChildProcess[] = [];
beforeAll(async () => {
  bench = await openBench();
  again = await openVmm(bench.dir);
});
afterAll(async () => {
  for (const each of launchers) each.kill("SIGKILL");
  await again?.close();
  await bench?.close();
});

/** Starts another process that launches a VM, and waits until its workload runs. */
async function launchElsewhere(vmId: string, argv: readonly string[]) {
  const file = join(dirname(bench.dir), `${vmId}.log`);
  const script = join(import.meta.dirname, "../support/launcher.ts");
  const child = spawn(...bound(process.execPath, [script, bench.dir, bench.image, vmId, file, ...argv]), {
    stdio: ["ignore", "pipe", "inherit"],
  });
  launchers.push(child);
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += String(chunk);
  });
  await expect.poll(() => output, { timeout: 60_000 }).toContain("launched\n");
  const received = (): LogLine[] =>
    (existsSync(file) ? readFileSync(file, "utf8") : "").split("\n").filter(Boolean).map(parseLine);
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  return { lines: received, kill };
}

function parseLine(line: string): LogLine {
  const [number, stream, ...text] = line.split(" ");
  // The launcher wrote it from a line that had one of the three.
  return { timeUs: 0, number: Number(number), stream: stream as LogLine["stream"], text: text.join(" ") };
}

/** Adopts a VM and collects its lines from then on. */
async function adopt(vmId: string) {
  const lines: LogLine[] = [];
  const vm = await again.adopt(vmId, { onLog: (line) => void lines.push(line) });
  if (!vm) throw new Error(`${vmId} is gone`);
  return { vm, lines };
}

/** Returns the lines as a log store keeps them, which knows them by their numbers. */
function stored(...parts: readonly LogLine[][]): LogLine[] {
  const byNumber = new Map(parts.flat().map((line) => [line.number, line]));
  return [...byNumber.values()];
}

const processes = (vmId: string) =>
  findByArgument(new VmDirs(bench.dir, undefined).namePrefix).filter(({ argument }) =>
    argument.endsWith(`-${vmId}`),
  );

test("a VM survives a hostd that is killed, and its log continues where it stopped", async () => {
  const elsewhere = await launchElsewhere("ticking", ["probe", "tick"]);
  await expect.poll(() => elsewhere.lines().length, { timeout: 60_000 }).toBeGreaterThan(20);
  await elsewhere.kill();
  expect(await again.list()).toContain("ticking");

  const { vm, lines } = await adopt("ticking");
  const before = elsewhere.lines();
  const far = before.length + 100;
  await expect.poll(() => stored(before, lines).length, { timeout: 60_000 }).toBeGreaterThan(far);
  await vm.signal(9);
  const exit = await vm.exited;

  const all = stored(before, lines);
  expect(all.map(({ text }) => text)).toEqual(all.map((_, index) => `tick ${index + 1}`));
  expect(before.length + lines.length - all.length).toBeLessThanOrEqual(1);
  expect(exit).toMatchObject({ kind: "process", signal: 9 });
  expect(vm.startedAtUs).toBeLessThan(exit.exitedAtUs);
  await again.destroy("ticking");
});

test("an exit while no hostd ran is reported, with its time and the lines before it", async () => {
  const launchedAtUs = Date.now() * 1_000;
  const elsewhere = await launchElsewhere("leaving", ["probe", "exit-later", "3"]);
  await elsewhere.kill();
  await expect.poll(isAtRest(bench.dir, "leaving"), { interval: 1_500, timeout: 60_000 }).toBe(true);

  const { vm, lines } = await adopt("leaving");
  const exit = await vm.exited;
  const reportedAtUs = Date.now() * 1_000;

  expect(exit).toMatchObject({ kind: "process", exitCode: 7 });
  expect(stored(elsewhere.lines(), lines).map(({ text }) => text)).toEqual(["before", "after"]);
  expect(exit.exitedAtUs).toBeGreaterThan(launchedAtUs + 2_900_000);
  expect(exit.exitedAtUs).toBeLessThan(reportedAtUs - 500_000);
  await again.destroy("leaving");
});

test("without a hostd the oldest lines are dropped, and a marker counts them", async () => {
  const COUNT = 40_000;
  const elsewhere = await launchElsewhere("flooding", ["sh", "-c", `sleep 1; probe lines ${COUNT}`]);
  await elsewhere.kill();
  const { vm, lines } = await adopt("flooding");
  await vm.detach();
  // Without a hostd nothing makes the flood wait.
  await expect.poll(isAtRest(bench.dir, "flooding"), { interval: 1_500, timeout: 60_000 }).toBe(true);

  const late = await adopt("flooding");
  expect(await late.vm.exited).toMatchObject({ exitCode: 0 });

  const all = stored(elsewhere.lines(), lines, late.lines);
  const marker = all.find(({ stream }) => stream === "system");
  const dropped = Number(/^(\d+) lines dropped/.exec(marker?.text ?? "")?.[1]);
  expect(dropped).toBeGreaterThan(0);
  expect(all.length - 1 + dropped).toBe(COUNT);
  expect(all.at(-1)?.text).toBe(`line ${COUNT}`);
  await again.destroy("flooding");
});

test("destroy leaves nothing, and can be repeated", async () => {
  const { vm } = await bench.launch(["sleep", "1000"]);
  const dir = join(bench.dir, "vms", vm.id);
  expect(processes(vm.id).length).toBeGreaterThan(0);

  await bench.vmm.destroy(vm.id);
  await bench.vmm.destroy(vm.id);
  await bench.vmm.destroy("never-was");

  expect(await vm.exited).toMatchObject({ kind: "vm_lost" });
  expect(processes(vm.id)).toEqual([]);
  expect(existsSync(dir)).toBe(false);
  expect(await bench.vmm.adopt(vm.id, { onLog() {} })).toBeUndefined();
});

test("a QEMU without its directory is found and ended", async () => {
  const { vm } = await bench.launch(["sleep", "1000"]);
  rmSync(join(bench.dir, "vms", vm.id), { recursive: true });

  expect(await bench.vmm.list()).toContain(vm.id);
  await bench.vmm.destroy(vm.id);

  expect(processes(vm.id)).toEqual([]);
  expect(await bench.vmm.list()).not.toContain(vm.id);
});

test("a QEMU that dies ends only its own machine", async () => {
  const [killed, other] = await Promise.all([
    bench.launch(["sleep", "1000"]),
    bench.launch(["sleep", "1000"]),
  ]);

  process.kill(qemuPid(bench.dir, killed.vm.id), "SIGKILL");

  expect(await killed.vm.exited).toMatchObject({
    kind: "vm_lost",
    detail: "QEMU ended without a SHUTDOWN event",
  });
  await other.vm.signal(9);
  expect(await other.vm.exited).toMatchObject({ kind: "process", signal: 9 });
});

test("a launch that is aborted leaves nothing", async () => {
  const abort = new AbortController();
  const workload = plainWorkload(bench.image, ["sh"]);
  const shape = { cpus: 1, memoryMb: 256 };
  const launching = bench.vmm
    .launch({ vmId: "aborted", shape, workload, sink: { onLog() {} } }, abort.signal)
    .catch((err: unknown) => err);
  await expect.poll(() => processes("aborted").length, { timeout: 60_000 }).toBeGreaterThan(0);

  abort.abort(new Error("no longer wanted"));

  expect(await launching).toMatchObject({
    name: "LaunchError",
    message: expect.stringContaining("no longer wanted"),
  });
  expect(processes("aborted")).toEqual([]);
  expect(await bench.vmm.list()).not.toContain("aborted");
});

test("each QEMU sees only its own files and has no privileges; as root, it has a uid of its own", async () => {
  const [one, two] = await Promise.all([bench.launch(["sleep", "1000"]), bench.launch(["sleep", "1000"])]);

  const uids = [one, two].map(({ vm }) => {
    const pid = qemuPid(bench.dir, vm.id);
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).toMatch(/^qemu-system-x86_64\0/);
    expect(status).toMatch(/^CapEff:\t0+$/m);
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    expect(status).toMatch(/^Seccomp:\t2$/m);
    const mounts = readFileSync(`/proc/${pid}/mountinfo`, "utf8")
      .split("\n")
      .map((line) => line.split(" ")[4]);
    expect(mounts).toEqual(expect.arrayContaining(["/usr", "/vm", "/guest", "/rootfs"]));
    expect(mounts).not.toContain("/home");
    return Number(/^Uid:\t(\d+)/m.exec(status)?.[1]);
  });

  // Who is not root can give them no other than his own.
  const own = process.getuid?.() ?? 0;
  expect(new Set(uids).size).toBe(own === 0 ? 2 : 1);
  for (const uid of uids) {
    if (own === 0) expect(uid).toBeGreaterThanOrEqual(1_000_000);
    else expect(uid).toBe(own);
  }
});
