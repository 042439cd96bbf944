/**
 * Stands in for a hostd that is killed at a given point of a warm start: makes a warm VM, launches
 * a machine in it, and kills itself with SIGKILL there. Arguments: data directory, image, VM id,
 * point.
 */
import { Agent } from "../../../src/hostd/vmm/qemu/guest-channel/agent.ts";
import { Qmp } from "../../../src/hostd/vmm/qemu/monitor/qmp.ts";
import { VmDirs } from "../../../src/hostd/vmm/qemu/process/vm-dirs.ts";
import { sleep } from "../../../src/lib/runtime/wait.ts";
import { openVmm, plainWorkload } from "./fixture.ts";

const SHAPE = { cpus: 1, memoryMb: 256 };
const [dir = "", image = "", vmId = "", point = ""] = process.argv.slice(2);
const { signal } = new AbortController();

const vmm = await openVmm(dir, { warmMemoryMb: 1_024, startPaths: ["warm", "template"] });
vmm.keepWarm?.({ shapes: () => [SHAPE], setReclaimable: () => true, onReclaim() {} });
while (vmm.warm?.(SHAPE) === 0) await sleep(20, signal);
process.stdout.write("launching\n");

const at = (name: string): void => {
  if (name === point) process.kill(process.pid, "SIGKILL");
};
const { rename } = VmDirs.prototype;
VmDirs.prototype.rename = async function (...args) {
  at("before rename");
  await rename.apply(this, args);
  at("after rename");
};
const { execute } = Qmp.prototype;
Qmp.prototype.execute = async function (...args) {
  at(`before ${args[0]}`);
  const answer = await execute.apply(this, args);
  at(`after ${args[0]}`);
  return answer;
};
const { run } = Agent.prototype;
Agent.prototype.run = function (...args) {
  at("before run");
  run.apply(this, args);
  // The kernel has the message, so the guest may get it.
  at("after run");
};
const workload = plainWorkload(image, ["sleep", "1000"]);
await vmm.launch({ vmId, shape: SHAPE, workload, sink: { onLog() {} } }, signal);
at("after launch");
