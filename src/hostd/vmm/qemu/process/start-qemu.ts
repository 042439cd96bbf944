import { setPriority } from "node:os";
import { join } from "node:path";
import { endsWithin } from "../../../../lib/runtime/wait.ts";
import type { PhaseLog } from "../../phase-log.ts";
import { LaunchError, type Shape, type StartPath } from "../../vmm.ts";
import { type Acceleration, qemuArguments, VM_FILES } from "./command-line.ts";
import { type Confinement, confine, seenPaths } from "./confinement.ts";
import type { GuestAssets } from "./guest-assets.ts";
import type { ProcessId } from "./process-id.ts";
import type { Qmp } from "./qmp.ts";
import { restoreDisk } from "./scratch-disk.ts";
import { openMonitor, spawnQemu } from "./spawn.ts";
import type { VmDirs } from "./vm-dirs.ts";

/** What making a VM takes, whomever it is for. */
export interface BootOptions {
  readonly dirs: VmDirs;
  readonly assets: GuestAssets;
  readonly acceleration: Acceleration;
  readonly confinement: Confinement;
  /** The wall clock in microseconds. */
  readonly now: () => number;
}

/** One VM. */
export interface VmPlan {
  readonly id: string;
  readonly shape: Shape;
  readonly startPath: StartPath;
  /** What the root disk reads at first. */
  readonly rootfs?: string;
  /** A file that is its memory. `private`: what it writes there stays its own. */
  readonly memory?: { readonly file: string; readonly isPrivate: boolean };
  /** Whether it waits for the state of another VM instead of booting. */
  readonly isRestored?: boolean;
  /** Whether it is made beside the starts, which it must not slow down. */
  readonly isBackground?: boolean;
}

/** A QEMU that answers. */
export interface RunningQemu {
  readonly qemu: ProcessId;
  readonly qmp: Qmp;
  /** Aborts when QEMU ends, and when the signal it was brought up with does. */
  readonly alive: AbortSignal;
}

const LAST_WORDS_MS = 500;
/** The least that a process can ask for. */
const BACKGROUND_PRIORITY = 19;
const WITHOUT_ROOT = process.getuid?.() !== 0;

/** Makes a VM's directory and disk and starts its QEMU. What it leaves behind when it fails is the caller's to clear. */
export async function bringUp(
  options: BootOptions,
  plan: VmPlan,
  signal: AbortSignal,
  phases: PhaseLog,
): Promise<RunningQemu> {
  const { dirs, assets, confinement, acceleration } = options;
  const { id, shape, rootfs, memory, isRestored = false } = plan;
  const { runDir, uid } = dirs.create(id);
  const scratch = join(runDir, VM_FILES.scratch);
  restoreDisk(scratch, assets.scratch.sizeBytes, assets.scratch.extents, assets.scratch.data);
  dirs.give(scratch, uid);
  const paths = {
    ...{ runDir, assets },
    ...(rootfs === undefined ? {} : { rootfs }),
    ...(memory === undefined ? {} : { memory: memory.file }),
  };
  const seen = seenPaths(confinement, paths);
  const args = qemuArguments({
    ...{ name: dirs.mark + id, shape, acceleration, isRestored },
    ...{ kernel: seen.kernel, initramfs: seen.initramfs },
    ...(seen.rootfs === undefined ? {} : { rootfs: seen.rootfs }),
    ...(memory === undefined || seen.memory === undefined
      ? {}
      : { memory: { file: seen.memory, isPrivate: memory.isPrivate } }),
  });
  phases.mark("vmm.prepare");

  const spawned = await spawnQemu(confine(confinement, paths, uid, args), runDir, dirs.stderr(id));
  const { ended, ...processes } = spawned;
  if (plan.isBackground) prioritize(processes.qemu.pid, BACKGROUND_PRIORITY);
  dirs.writeRecord(id, { ...processes, startPath: plan.startPath });
  const early = new AbortController();
  void ended.then(() =>
    early.abort(new LaunchError("vmm", "qemu_ended", `QEMU ended: ${dirs.readStderr(id)}`)),
  );
  const alive = AbortSignal.any([signal, early.signal]);
  const qmp = await openMonitor(runDir, alive).catch(async (err: unknown) => {
    // A QEMU that gave up says why, when it is given the moment to.
    await endsWithin(LAST_WORDS_MS, ended);
    alive.throwIfAborted();
    throw err;
  });
  phases.mark("vmm.spawn");
  return { qemu: processes.qemu, qmp, alive };
}

/** Sets how a thread stands among others. Only root may raise it again, so others leave it as it is. */
export function prioritize(thread: number, priority: number): void {
  if (WITHOUT_ROOT) return;
  try {
    setPriority(thread, priority);
  } catch {
    // It has ended.
  }
}
