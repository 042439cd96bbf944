import type { PhaseLog } from "../phase-log.ts";
import { LaunchError, type Shape, type StartPath, type VmSink, type Workload } from "../vmm.ts";
import { GuestVm } from "./guest-channel/guest-vm.ts";
import { PROTOCOL_VERSION } from "./guest-channel/protocol.ts";
import { CONSOLE } from "./process/command-line.ts";
import { forwardPorts } from "./process/port-forwards.ts";
import type { Qmp } from "./process/qmp.ts";
import { type BootOptions, bringUp } from "./process/start-qemu.ts";

/** A guest that has booted and waits to be told what to run. */
export interface Acquired {
  readonly vm: GuestVm;
  readonly qmp: Qmp;
  readonly startPath: StartPath;
}

/**
 * Boots a VM from nothing. With a workload, its image is the root disk and its ports are forwarded while the kernel boots; without,
 * the VM comes up all the same, with neither. What it leaves behind when it fails is the caller's to clear.
 */
export async function bootCold(
  options: BootOptions,
  vmId: string,
  shape: Shape,
  workload: Pick<Workload, "rootfs" | "ports"> | undefined,
  sink: VmSink,
  signal: AbortSignal,
  phases: PhaseLog,
): Promise<Acquired> {
  const { dirs, now } = options;
  const rootfs = workload ? { rootfs: workload.rootfs } : {};
  const { qmp, alive } = await bringUp(
    options,
    { id: vmId, shape, startPath: "cold", ...rootfs },
    signal,
    phases,
  );
  const connecting = GuestVm.connect(
    { id: vmId, startPath: "cold", dirs, qmp, sink, now, notBeforeUs: phases.startUs },
    alive,
  );
  try {
    // While the kernel boots there is time for this, and a port that is taken is known at once.
    const [vm] = await Promise.all([connecting, forwardPorts(qmp, workload?.ports ?? [])]);
    requireProtocol(vm.guest.protocol);
    markGuestPhases(vm, phases, ["kernel", "modules", "network", "scratch"]);
    return { vm, qmp, startPath: "cold" };
  } catch (err) {
    void connecting.then((vm) => vm.detach()).catch(() => {});
    throw signal.aborted ? await withConsole(signal.reason, qmp) : err;
  }
}

/** Throws LaunchError unless the guest speaks as we do. */
export function requireProtocol(spoken: number): void {
  if (spoken !== PROTOCOL_VERSION) {
    throw new LaunchError("vmm", "protocol", `the guest speaks protocol ${spoken}`);
  }
}

/** Names of the guest's own phases among the host's. */
const GUEST_PHASES: Readonly<Record<string, string>> = {
  kernel: "guest.boot",
  modules: "guest.modules",
  network: "guest.network",
  scratch: "guest.scratch",
  disk: "guest.disk",
  mount: "guest.mount",
  exec: "guest.exec",
};

/** Adds the guest's phases of these names, on the host's clock. */
export function markGuestPhases(vm: GuestVm, phases: PhaseLog, names: readonly string[]): void {
  for (const { name, endUs } of vm.guest.phases) {
    const hostName = GUEST_PHASES[name];
    if (hostName !== undefined && names.includes(name)) phases.markAt(hostName, vm.toHost(endUs));
  }
}

/** A boot that hung tells most on its console. */
async function withConsole(reason: unknown, qmp: Qmp): Promise<unknown> {
  if (!(reason instanceof LaunchError) || reason.kind !== "timeout") return reason;
  const text = await qmp.execute("ringbuf-read", { device: CONSOLE, size: 4096 }, 1_000).catch(() => "");
  const tail = String(text).trim().slice(-400).replaceAll(/\s+/g, " ");
  return tail === ""
    ? reason
    : new LaunchError("timeout", reason.reason, `${reason.message}; console: ${tail}`);
}
