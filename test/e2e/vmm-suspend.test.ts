import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { LogLine, ResumeFrom, Vm } from "../../src/hostd/vmm/vmm.ts";
import { type Bench, openBench, plainWorkload } from "./vmm-fixture.ts";

const SHAPE = { cpus: 1, memoryMb: 256 };
const WAIT = { timeout: 60_000, interval: 50 };

let bench: Bench;
beforeAll(async () => {
  bench = await openBench({ startPaths: ["cold"] });
});
afterAll(() => bench?.close());

/** Counts, in memory, and reads what it wrote to its disk. */
const COUNT =
  'echo kept > /data/kept; i=0; while true; do i=$((i+1)); echo "$i $(cat /data/kept)"; sleep 0.2; done';

function save(vmId: string, name: string, goesOn: boolean) {
  const { signal } = new AbortController();
  return bench.vmm.save?.(vmId, { name, goesOn, shape: SHAPE, rootfs: bench.image }, signal);
}

let launches = 0;
async function resume(
  resumeFrom: ResumeFrom,
  lines: LogLine[],
  argv: readonly string[] = ["true"],
): Promise<Vm> {
  const sink = { onLog: (line: LogLine) => void lines.push(line) };
  const workload = { ...plainWorkload(bench.image, argv), hostname: "kestrel" };
  const vmId = `resumed-${++launches}`;
  return bench.vmm.launch({ vmId, shape: SHAPE, workload, sink, resumeFrom }, new AbortController().signal);
}

test("a suspended program goes on where it was, with its memory, its disk and the numbers of its lines", async () => {
  const { vm, lines } = await bench.launch(["sh", "-c", COUNT]);
  await expect.poll(() => lines.length, WAIT).toBeGreaterThan(2);

  const saved = await save(vm.id, vm.id, false);
  const before = lines.length;
  const folder = join(bench.dir, "saved", vm.id);
  expect(saved?.bytes).toBeLessThan(SHAPE.memoryMb * 1024 * 1024);
  for (const file of readdirSync(folder)) expect(statSync(join(folder, file)).mode & 0o777).toBe(0o600);
  await bench.vmm.destroy(vm.id);
  const resumed = await resume({ name: vm.id, isKept: false }, lines);

  await expect.poll(() => lines.length, WAIT).toBeGreaterThan(before + 2);
  expect(resumed.startPath).toBe("resume");
  expect(lines.map(({ text }) => text)).toEqual(lines.map((_, index) => `${index + 1} kept`));
  expect(lines.map(({ number }) => number)).toEqual(lines.map((_, index) => index + 1));
  expect(bench.vmm.hasSaved?.(vm.id)).toBe(false);
  await bench.vmm.destroy(resumed.id);
});
