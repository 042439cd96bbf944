/**
 * A stand-in for a hostd that is killed at a given moment of a warm start: keeps a VM waiting, launches a machine in it, and kills itself
 * with SIGKILL there. Arguments: data directory, image, VM id, moment.
 */
import { Agent } from "../../src/hostd/vmm/qemu/guest-channel/agent.ts";
import { Qmp } from "../../src/hostd/vmm/qemu/process/qmp.ts";
import { VmDirs } from "../../src/hostd/vmm/qemu/process/vm-dirs.ts";
import { sleep } from "../../src/lib/runtime/wait.ts";
import { openVmm, plainWorkload } from "./vmm-fixture.ts";

const SHAPE = { cpus: 1, memoryMb: 256 };
const [dir = "", image = "", vmId = "", moment = ""] = process.argv.slice(2);
const { signal } = new AbortController();

const vmm = await openVmm(dir, { warmMemoryMb: 1_024, startPaths: ["warm", "template"] });
vmm.keepWarm?.({ shapes: () => [SHAPE], lend: () => true, onReclaim() {} });
while (vmm.warm?.(SHAPE) === 0) await sleep(20, signal);
process.stdout.write("launching\n");

const here = (name: string): void => {
  if (name === moment) process.kill(process.pid, "SIGKILL");
};
const { rename } = VmDirs.prototype;
VmDirs.prototype.rename = async function (...args) {
  here("before rename");
  await rename.apply(this, args);
  here("after rename");
};
const { execute } = Qmp.prototype;
Qmp.prototype.execute = async function (...args) {
  here(`before ${args[0]}`);
  const answer = await execute.apply(this, args);
  here(`after ${args[0]}`);
  return answer;
};
const { run } = Agent.prototype;
Agent.prototype.run = function (...args) {
  here("before run");
  run.apply(this, args);
  // What was written is with the kernel, or lost; either way the machine can be told.
  here("after run");
};
await vmm.launch(vmId, SHAPE, plainWorkload(image, ["sleep", "1000"]), { onLog() {} }, signal);
here("after launch");
