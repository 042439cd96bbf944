import { Fault, hasReason } from "../../../lib/faults/fault.ts";
import { restartRefused } from "../../machines/change.ts";
import type { MachineRuntime } from "../machine-runtime.ts";
import type { StartResult } from "../requests/request.ts";
import { type LaunchOptions, type LaunchParts, launch } from "./launch.ts";
import { startFailedFault } from "./launch-faults.ts";

/**
 * Starts a machine that is `restarting`. When that is refused the machine is tried again later, or
 * `failed`; when the host has no slot for a moment, it is tried again and nothing is counted.
 */
export async function launchAgain(
  runtime: MachineRuntime,
  parts: LaunchParts,
  signal: AbortSignal,
  options: LaunchOptions,
): Promise<StartResult> {
  try {
    return await launch(runtime, parts, signal, options);
  } catch (err) {
    if (hasReason(err, "LEASE_HELD")) throw err;
    const { state, vmId } = runtime.machine;
    const isForAMoment = err instanceof Fault && err.retryAfterMs !== undefined;
    const isRefused = state === "restarting" && vmId === undefined && !isForAMoment;
    if (isRefused && !signal.aborted && !parts.closing.aborted) {
      const { reason, message } = err instanceof Fault ? err : startFailedFault(String(err), "vmm", err);
      await runtime.note((machine, at) =>
        machine.restartAtMs === undefined || machine.restartAtMs <= at.nowMs
          ? restartRefused(machine, reason, message, at)
          : undefined,
      );
    }
    throw err;
  }
}
