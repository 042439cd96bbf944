import { PhaseLog } from "../phase-log.ts";
import type { Shape } from "../vmm.ts";
import { bootLimit } from "./boot-limit.ts";
import { asLaunchError } from "./guest-protocol/start-failure.ts";
import { saveState } from "./monitor/save-state.ts";
import { readTscMhz } from "./monitor/tsc-frequency.ts";
import { removeVm } from "./process/remove-vm.ts";
import type { QemuHost } from "./process/start-qemu.ts";
import { bootCold } from "./start-paths.ts";

export interface TrialBoot {
  readonly bootMs: number;
  /** Frequency of an emulated guest's time stamp counter. */
  readonly tscMhz: number | undefined;
}

const SHAPE: Shape = { cpus: 1, memoryMb: 256 };

/** Boots a guest and ends it. Rejects with LaunchError when it does not report. */
export async function tryBoot(host: QemuHost, vmId: string, timeoutMs: number): Promise<TrialBoot> {
  const { dirs, acceleration } = host;
  await removeVm(dirs, vmId);
  using limit = bootLimit(timeoutMs);
  const request = { vmId, shape: SHAPE, sink: { onLog() {} } };
  const start = performance.now();
  try {
    const vm = await bootCold(host, request, limit.signal, new PhaseLog());
    const bootMs = Math.round(performance.now() - start);
    try {
      if (acceleration === "kvm") return { bootMs, tscMhz: undefined };
      await vm.qmp.execute("stop");
      return { bootMs, tscMhz: await saveState(dirs.runDir(vmId), vm.qmp, limit.signal, readTscMhz) };
    } finally {
      await vm.detach();
    }
  } catch (err) {
    throw asLaunchError(err, dirs.readStderr(vmId));
  } finally {
    await removeVm(dirs, vmId);
  }
}
