import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findByArgument } from "../../../src/hostd/vmm/qemu/process/process-id.ts";
import { removeWarmVms } from "../../../src/hostd/vmm/qemu/process/remove-vm.ts";
import { VmDirs } from "../../../src/hostd/vmm/qemu/process/vm-dirs.ts";
import { bound } from "../../support/servers/bound.ts";
import { type Bench, openBench } from "../support/fixture.ts";

let bench: Bench;
let dirs: VmDirs;
beforeAll(async () => {
  bench = await openBench();
  dirs = new VmDirs(bench.dir, undefined);
});
afterAll(() => bench?.close());

const left = () => findByArgument(dirs.namePrefix);

test.for([
  "before rename",
  "after rename",
  "before blockdev-add",
  "after blockdev-add",
  "after blockdev-reopen",
  "after cont",
  "before run",
  "after run",
  "after launch",
])("killed %s, a hostd leaves a machine that runs or none, and no other VM", async (moment) => {
  const vmId = `at-${moment.replaceAll(" ", "-")}`;
  const script = join(import.meta.dirname, "../support/crash.ts");
  const child = spawn(...bound(process.execPath, [script, bench.dir, bench.image, vmId, moment]), {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += String(chunk);
  });
  const [, signal] = await once(child, "exit", { signal: AbortSignal.timeout(120_000) });
  expect(output).toContain("launching\n");
  expect(signal).toBe("SIGKILL");

  // As a hostd does when it starts.
  await removeWarmVms(dirs);
  const vm = await bench.vmm.adopt(vmId, { onLog() {} });

  const mayRun = moment === "after run" || moment === "after launch";
  if (!mayRun) expect(vm).toBeUndefined();
  if (moment === "after launch") expect(vm?.startPath).toBe("warm");
  expect(await bench.vmm.list()).toEqual(vm ? [vmId] : []);
  if (vm) {
    await vm.signal(9);
    expect(await vm.exited).toMatchObject({ kind: "process", signal: 9 });
  }
  await bench.vmm.destroy(vmId);
  expect(left()).toEqual([]);
  expect(readdirSync(join(bench.dir, "vms"))).toEqual([]);
});
