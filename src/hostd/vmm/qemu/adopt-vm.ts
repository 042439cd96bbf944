import { existsSync } from "node:fs";
import { GuestVm, type GuestVmOptions } from "./guest-channel/guest-vm.ts";
import type { Qmp } from "./monitor/qmp.ts";
import { openMonitor } from "./process/spawn.ts";

const ADOPT_TIMEOUT_MS = 60_000;

/**
 * Connects to a VM of an earlier hostd, and lets it go on if it was being saved. Returns undefined
 * when no workload has begun in it; the caller then removes it.
 */
export async function adoptVm(
  options: Pick<GuestVmOptions, "id" | "startPath" | "dirs" | "sink">,
  closing: AbortSignal,
): Promise<GuestVm | undefined> {
  const { id, dirs } = options;
  const signal = AbortSignal.any([AbortSignal.timeout(ADOPT_TIMEOUT_MS), closing]);
  const qmp = await openMonitor(dirs.runDir(id), signal);
  const wasSaving = dirs.isSaving(id);
  try {
    // It may stand still as it was being saved, or was about to go on.
    if (wasSaving || existsSync(dirs.usedUp(id))) await qmp.execute("cont");
    else if (!(await isRunning(qmp))) {
      // A warm VM that was being claimed when hostd was killed. Nothing of the machine has run in it.
      qmp.close();
      return undefined;
    }
  } catch (err) {
    qmp.close();
    throw err;
  }
  const vm = await GuestVm.adopt({ ...options, qmp, notBeforeUs: 0 }, signal);
  try {
    const { state } = vm.guest.state === "waiting" ? vm.guest : await vm.started(signal);
    if (state === "running" || state === "exited") {
      await vm.thaw({ hostname: "", isOther: !wasSaving }, signal);
      // Not before: the next hostd would take it for another VM, and close its connections.
      dirs.endSaving(id);
      vm.startedAtUs = vm.toHost(vm.guest.execAtUs);
      return vm;
    }
  } catch (err) {
    await vm.detach();
    throw err;
  }
  await vm.detach();
  return undefined;
}

/** Whether the VM's CPUs run; those of a warm VM are paused. */
async function isRunning(qmp: Qmp): Promise<boolean> {
  const status = await qmp.execute("query-status");
  return typeof status === "object" && status !== null && "running" in status && status.running === true;
}
