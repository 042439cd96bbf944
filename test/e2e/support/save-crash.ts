/**
 * Stands in for a hostd that is killed at a given point of a save or a resume: launches a machine,
 * saves it, resumes it in another VM, and kills itself with SIGKILL there. Its lines go to a file.
 * Arguments: data directory, image, VM id, point, file, program and its arguments.
 */
import { appendFileSync } from "node:fs";
import { Agent } from "../../../src/hostd/vmm/qemu/guest-channel/agent.ts";
import { Qmp } from "../../../src/hostd/vmm/qemu/monitor/qmp.ts";
import { SavedVms } from "../../../src/hostd/vmm/qemu/saved/saved-vms.ts";
import { sleep } from "../../../src/lib/runtime/wait.ts";
import { openVmm, plainWorkload } from "./fixture.ts";

const shape = { cpus: 1, memoryMb: 256 };
const [dir = "", image = "", vmId = "", point = "", file = "", ...argv] = process.argv.slice(2);
const { signal } = new AbortController();

let lines = 0;
const sink = {
  onLog: ({ number, text }: { number?: number; text: string }) => {
    lines += 1;
    appendFileSync(file, `${number} ${text}\n`);
  },
};
const vmm = await openVmm(dir, { startPaths: ["cold"] });
const workload = plainWorkload(image, argv);
await vmm.launch({ vmId, shape, workload, sink }, signal);
while (lines < 3) await sleep(20, signal);

let phase = "save";
const at = (name: string): void => {
  if (`${phase} ${name}` === point) process.kill(process.pid, "SIGKILL");
};
const { execute } = Qmp.prototype;
Qmp.prototype.execute = async function (...args) {
  at(`before ${args[0]}`);
  const answer = await execute.apply(this, args);
  at(`after ${args[0]}`);
  return answer;
};
for (const name of ["freeze", "renew", "thaw"] as const) {
  const method: (...args: never[]) => Promise<unknown> = Agent.prototype[name];
  Object.assign(Agent.prototype, {
    async [name](this: Agent, ...args: never[]) {
      const result = await method.apply(this, args);
      at(`after ${name}`);
      return result;
    },
  });
}
const { commit } = SavedVms.prototype;
SavedVms.prototype.commit = async function (...args) {
  at("before commit");
  const saved = await commit.apply(this, args);
  at("after commit");
  return saved;
};
await vmm.save?.(
  vmId,
  { name: vmId, goesOn: false, shape, rootfs: image, maxBytes: Number.MAX_SAFE_INTEGER },
  signal,
);
await vmm.destroy(vmId);
phase = "resume";
const resumeFrom = { name: vmId, isKept: false };
await vmm.launch({ vmId: `${vmId}-again`, shape, workload, sink, resumeFrom }, signal);
