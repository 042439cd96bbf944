import { setPriority } from "node:os";
import { join } from "node:path";
import { endsWithin } from "../../../../lib/runtime/wait.ts";
import type { PhaseLog } from "../../phase-log.ts";
import { LaunchError, type Shape, type StartPath } from "../../vmm.ts";
import type { Qmp } from "../monitor/qmp.ts";
import { type Acceleration, qemuArguments, VM_FILES } from "./command-line.ts";
import { type Confinement, confine, linkPaths, visiblePaths } from "./confinement.ts";
import type { GuestAssets } from "./guest-assets.ts";
import type { ProcessId } from "./process-id.ts";
import { restoreDisk } from "./scratch-disk.ts";
import { openMonitor, spawnQemu } from "./spawn.ts";
import type { VmDirs } from "./vm-dirs.ts";

/** What all VMs of a host have in common. */
export interface QemuHost {
  readonly dirs: VmDirs;
  readonly assets: GuestAssets;
  readonly acceleration: Acceleration;
  readonly tscMhz?: number | undefined;
  readonly confinement: Confinement;
}

export interface VmPlan {
  readonly id: string;
  readonly shape: Shape;
  readonly startPath: StartPath;
  readonly rootfs?: string | undefined;
  /** A file that is its memory. `isPrivate`: its writes do not reach the file. `isOwn`: no other VM has it. */
  readonly memory?: { readonly file: string; readonly isPrivate: boolean; readonly isOwn?: boolean };
  /** Whether the state that it waits for is that of the devices alone. */
  readonly withoutMemory?: boolean;
  /** Makes its scratch disk. Absent: an empty one. */
  readonly makeScratch?: (file: string) => Promise<void>;
  /** Whether it waits for the state of a template instead of booting. */
  readonly isRestored?: boolean;
  /** Whether it is started in the background, and must not slow down starts. */
  readonly isBackground?: boolean;
}

export interface RunningQemu {
  readonly qemu: ProcessId;
  readonly qmp: Qmp;
  /** Aborts when QEMU ends, and when the signal of its start does. */
  readonly lifetime: AbortSignal;
}

/** How long a failing QEMU gets to write its error. */
const STDERR_WAIT_MS = 500;
const BACKGROUND_PRIORITY = 19;
const IS_ROOT = process.getuid?.() === 0;

/** Makes a VM's folder and disk, and starts QEMU. After a failure the caller removes the VM. */
export async function startQemu(
  host: QemuHost,
  plan: VmPlan,
  signal: AbortSignal,
  phases: PhaseLog,
): Promise<RunningQemu> {
  const { dirs, assets, confinement, acceleration, tscMhz } = host;
  const { id, shape, rootfs, memory, isRestored } = plan;
  const { runDir, uid } = dirs.create(id);
  const scratch = join(runDir, VM_FILES.scratch);
  if (plan.makeScratch) await plan.makeScratch(scratch);
  else restoreDisk(scratch, assets.scratch.sizeBytes, assets.scratch.extents, assets.scratch.data);
  dirs.chown(scratch, uid);
  if (memory?.isOwn) dirs.chown(memory.file, uid);
  const paths = linkPaths(confinement, { runDir, assets, rootfs, memory: memory?.file });
  const visible = visiblePaths(confinement, paths);
  const args = qemuArguments({
    ...{
      name: dirs.namePrefix + id,
      shape,
      acceleration,
      tscMhz,
      isRestored,
      withoutMemory: plan.withoutMemory,
    },
    ...visible,
    memory: memory && visible.memory ? { file: visible.memory, isPrivate: memory.isPrivate } : undefined,
  });
  phases.mark("vmm.prepare");

  const { ended, ...processes } = await spawnQemu(
    confine(confinement, paths, uid, args),
    runDir,
    dirs.stderr(id),
  );
  if (plan.isBackground) setThreadPriority(processes.qemu.pid, BACKGROUND_PRIORITY);
  dirs.writeRecord(id, { ...processes, startPath: plan.startPath });
  const end = new AbortController();
  void ended.then(() => {
    end.abort(new LaunchError("vmm", "qemu_ended", `QEMU ended: ${dirs.readStderr(id)}`));
  });
  const lifetime = AbortSignal.any([signal, end.signal]);
  const qmp = await openMonitor(runDir, lifetime).catch(async (err: unknown) => {
    await endsWithin(STDERR_WAIT_MS, ended);
    lifetime.throwIfAborted();
    throw err;
  });
  phases.mark("vmm.spawn");
  return { qemu: processes.qemu, qmp, lifetime };
}

/** Sets the priority of a thread. Does nothing without root, which alone may raise it again. */
export function setThreadPriority(thread: number, priority: number): void {
  if (!IS_ROOT) return;
  try {
    setPriority(thread, priority);
  } catch {
    // It has ended.
  }
}
