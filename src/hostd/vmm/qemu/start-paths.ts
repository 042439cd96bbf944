import type { PhaseLog } from "../phase-log.ts";
import { LaunchError, type LaunchRequest, type StartPath, type Workload } from "../vmm.ts";
import { connectGuest } from "./guest-channel/connect-guest.ts";
import { GuestVm } from "./guest-channel/guest-vm.ts";
import type { Qmp } from "./monitor/qmp.ts";
import { CONSOLE } from "./process/command-line.ts";
import { forwardPorts } from "./process/port-forwards.ts";
import { type QemuHost, startQemu } from "./process/start-qemu.ts";
import { markGuestPhases } from "./run-workload.ts";
import { cloneTemplate } from "./warm-pool/template.ts";
import type { WarmVms } from "./warm-pool/warm-vms.ts";

const CONSOLE_TIMEOUT_MS = 1_000;
const CONSOLE_CHARS = 400;

/** Gets a VM whose guest waits, if the path has one. After a failure the caller removes it. */
export async function acquireVm(
  startPath: StartPath,
  host: QemuHost,
  warmVms: WarmVms,
  request: LaunchRequest,
  signal: AbortSignal,
  phases: PhaseLog,
): Promise<GuestVm | undefined> {
  const { vmId, shape, workload, sink } = request;
  switch (startPath) {
    case "warm": {
      const { rootfs, ports } = workload;
      return warmVms.claim({ id: vmId, sink, notBeforeUs: phases.startUs, rootfs, ports }, shape, phases);
    }
    case "template":
      return clone(host, warmVms, request, signal, phases);
    case "cold":
      return bootCold(host, { vmId, shape, workload, sink }, signal, phases);
  }
}

async function clone(
  host: QemuHost,
  { templates }: WarmVms,
  { vmId, shape, workload, sink }: LaunchRequest,
  signal: AbortSignal,
  phases: PhaseLog,
): Promise<GuestVm | undefined> {
  const template = await templates?.find(shape);
  if (!template) return undefined;
  const plan = { id: vmId, shape, startPath: "template", rootfs: workload.rootfs } as const;
  const running = await cloneTemplate(host, plan, template, signal, phases);
  const { qmp } = running;
  await Promise.all([forwardPorts(qmp, workload.ports), qmp.execute("cont")]);
  const agent = await connectGuest(host.dirs.runDir(vmId), running);
  const options = { id: vmId, startPath: "template", dirs: host.dirs, qmp, sink } as const;
  const vm = new GuestVm({ ...options, notBeforeUs: phases.startUs }, agent);
  phases.mark("vmm.resume");
  return vm;
}

/** Boots a VM, without root disk if there is no workload. After a failure the caller removes it. */
export async function bootCold(
  host: QemuHost,
  { vmId, shape, workload, sink }: Omit<LaunchRequest, "workload" | "stored"> & { workload?: Workload },
  signal: AbortSignal,
  phases: PhaseLog,
): Promise<GuestVm> {
  const { dirs } = host;
  const plan = { id: vmId, shape, startPath: "cold", rootfs: workload?.rootfs } as const;
  const running = await startQemu(host, plan, signal, phases);
  const { qmp } = running;
  try {
    // Ports while the kernel boots: one that is taken fails the launch at once.
    const [agent] = await Promise.all([
      connectGuest(dirs.runDir(vmId), running),
      forwardPorts(qmp, workload?.ports ?? []),
    ]);
    const options = { id: vmId, startPath: "cold", dirs, qmp, sink } as const;
    const vm = new GuestVm({ ...options, notBeforeUs: phases.startUs }, agent);
    markGuestPhases(vm, phases, ["kernel", "modules", "network", "scratch"]);
    return vm;
  } catch (err) {
    throw signal.aborted ? await withConsole(signal.reason, qmp) : err;
  }
}

/** Adds the end of the guest's console to the error of a boot that took too long. */
async function withConsole(reason: unknown, qmp: Qmp): Promise<unknown> {
  if (!(reason instanceof LaunchError) || reason.kind !== "timeout") return reason;
  const read = qmp.execute("ringbuf-read", { device: CONSOLE, size: 4096 }, CONSOLE_TIMEOUT_MS);
  const text = String(await read.catch(() => "")).trim();
  const tail = text.slice(-CONSOLE_CHARS).replaceAll(/\s+/g, " ");
  return tail === ""
    ? reason
    : new LaunchError("timeout", reason.reason, `${reason.message}; console: ${tail}`);
}
