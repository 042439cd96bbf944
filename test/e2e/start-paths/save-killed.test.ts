import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bound } from "../../support/servers/bound.ts";
import { type Bench, openBench, plainWorkload } from "../support/fixture.ts";

const SHAPE = { cpus: 1, memoryMb: 256 };
const WAIT = { timeout: 60_000, interval: 50 };
const COUNT = "i=0; while true; do i=$((i+1)); echo $i; sleep 0.2; done";

let bench: Bench;
beforeAll(async () => {
  bench = await openBench({ startPaths: ["cold"] });
});
afterAll(() => bench?.close());

/** What is there after a hostd was killed: the VM, the saved VM, or the VM that goes on with it. */
const POINTS = {
  "save after freeze": "before",
  "save after stop": "before",
  "save after pmemsave": "before",
  "save before commit": "before",
  "save after commit": "saved",
  "resume after migrate-incoming": "saved",
  "resume before cont": "after",
  "resume after cont": "after",
  "resume after renew": "after",
  "resume after thaw": "after",
} as const;

test.for(Object.entries(POINTS))(
  "killed at: %s, a hostd leaves a program that goes on (%s)",
  async ([point, left]) => {
    const vmId = `at-${point.replaceAll(" ", "-")}`;
    const file = join(bench.dir, `${vmId}.log`);
    const script = join(import.meta.dirname, "../support/save-crash.ts");
    const args = [script, bench.dir, bench.image, vmId, point, file, "sh", "-c", COUNT];
    const child = spawn(...bound(process.execPath, args), { stdio: ["ignore", "ignore", "inherit"] });
    const [, signal] = await once(child, "exit", { signal: AbortSignal.timeout(120_000) });
    expect(signal).toBe("SIGKILL");

    const written = readFileSync(file, "utf8").trim().split("\n");
    const lines = new Map(written.map((line) => [Number(line.split(" ")[0]), line.split(" ")[1]]));
    const sink = {
      onLog: (line: { number?: number; text: string }) => void lines.set(line.number ?? 0, line.text),
    };
    const before = await bench.vmm.adopt(vmId, sink);
    const after = await bench.vmm.adopt(`${vmId}-again`, sink);
    const isSaved = bench.vmm.hasSaved?.(vmId);
    expect({ before: !!before, saved: isSaved, after: !!after }).toEqual({
      ...{ before: false, saved: false, after: false },
      [left]: true,
    });
    if (isSaved) {
      const workload = plainWorkload(bench.image, ["true"]);
      const resumeFrom = { name: vmId, isKept: false };
      const request = { vmId: `${vmId}-third`, shape: SHAPE, workload, sink, resumeFrom };
      expect(await bench.vmm.launch(request, new AbortController().signal)).toMatchObject({
        startPath: "resume",
      });
    }
    const count = lines.size;
    await expect.poll(() => lines.size, WAIT).toBeGreaterThan(count + 2);
    const numbers = [...lines.keys()].sort((a, b) => a - b);
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    expect(numbers.map((number) => lines.get(number))).toEqual(numbers.map(String));

    await Promise.all((await bench.vmm.list()).map((id) => bench.vmm.destroy(id)));
    expect(readdirSync(join(bench.dir, "vms"))).toEqual([]);
    expect(readdirSync(join(bench.dir, "saved")).filter((name) => !name.endsWith(".draft"))).toEqual([]);
  },
);
