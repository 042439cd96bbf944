import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { LaunchError, type Shape, type VmSink, type Way, type Workload } from "../vmm.ts";
import type { GuestAssets } from "./assets.ts";
import { type Acceleration, CONSOLE, qemuArguments, VM_FILES } from "./command-line.ts";
import { type Confinement, confine, seenPaths } from "./confinement.ts";
import { forwardPorts } from "./forwards.ts";
import { GuestVm } from "./guest-vm.ts";
import type { PhaseLog } from "./phases.ts";
import { PROTOCOL_VERSION } from "./protocol.ts";
import type { Qmp } from "./qmp.ts";
import { restoreDisk } from "./scratch-disk.ts";
import { openMonitor, spawnQemu } from "./spawn.ts";
import type { VmDirs } from "./vm-dirs.ts";

/** What booting a VM takes, whomever it is for. */
export interface BootOptions {
  readonly dirs: VmDirs;
  readonly assets: GuestAssets;
  readonly acceleration: Acceleration;
  readonly confinement: Confinement;
  /** The wall clock in microseconds. */
  readonly now: () => number;
}

const LAST_WORDS_MS = 500;

/** A guest that has booted and waits to be told what to run. */
export interface Acquired {
  readonly vm: GuestVm;
  readonly qmp: Qmp;
  readonly way: Way;
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
  const { dirs, assets, confinement, acceleration, now } = options;
  const { runDir, uid } = dirs.create(vmId);
  const scratch = join(runDir, VM_FILES.scratch);
  restoreDisk(scratch, assets.scratch.sizeBytes, assets.scratch.extents, assets.scratch.data);
  dirs.give(scratch, uid);
  const paths = { runDir, assets, ...(workload ? { rootfs: workload.rootfs } : {}) };
  const seen = seenPaths(confinement, paths);
  const args = qemuArguments({ name: dirs.mark + vmId, shape, acceleration, ...seen });
  phases.mark("vmm.prepare");

  const spawned = await spawnQemu(confine(confinement, paths, uid, args), runDir, dirs.stderr(vmId));
  const { ended, ...processes } = spawned;
  dirs.writeRecord(vmId, { ...processes, way: "cold" });
  const early = new AbortController();
  void ended.then(() =>
    early.abort(new LaunchError("vmm", "qemu_ended", `QEMU ended: ${dirs.readStderr(vmId)}`)),
  );
  const alive = AbortSignal.any([signal, early.signal]);
  const qmp = await openMonitor(runDir, alive).catch(async (err: unknown) => {
    // A QEMU that gave up says why, when it is given the moment to.
    await Promise.race([ended, delay(LAST_WORDS_MS)]);
    alive.throwIfAborted();
    throw err;
  });
  phases.mark("vmm.spawn");

  const connecting = GuestVm.connect(
    { id: vmId, way: "cold", dirs, qmp, sink, now, notBeforeUs: phases.startUs },
    alive,
  );
  try {
    // While the kernel boots there is time for this, and a port that is taken is known at once.
    const [vm] = await Promise.all([connecting, forwardPorts(qmp, workload?.ports ?? [])]);
    if (vm.guest.protocol !== PROTOCOL_VERSION) {
      throw new LaunchError("vmm", "protocol", `the guest speaks protocol ${vm.guest.protocol}`);
    }
    markGuestPhases(vm, phases, ["kernel", "modules", "network", "scratch"]);
    return { vm, qmp, way: "cold" };
  } catch (err) {
    void connecting.then((vm) => vm.detach()).catch(() => {});
    throw signal.aborted ? await withConsole(signal.reason, qmp) : err;
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
