import { Fault, hasReason } from "../../lib/faults/fault.ts";
import { refuseWhileDraining } from "../availability/scheduling.ts";
import type { Ledger } from "../capacity/ledger.ts";
import { restarting, restartRefused } from "../machines/change.ts";
import type { Machine, StartCause } from "../machines/machine.ts";
import { type Guard, type LaunchParts, launch, type StartResult } from "./launch/launch.ts";
import { startFailedFault } from "./launch/launch-faults.ts";
import type { MachineRuntime } from "./machine-runtime.ts";
import { StopOperation, type StopOptions, type StopParts } from "./stop-operation.ts";

export type RestartParts = LaunchParts &
  StopParts & { readonly ledger: Pick<Ledger, "reserve" | "unreserve"> };

/** Makes the stop that a restart begins with. A machine that does not run is not stopped. */
export function stopOfRestart(
  runtime: MachineRuntime,
  parts: RestartParts,
  options: StopOptions,
  guard: Guard,
): StopOperation {
  return new StopOperation(runtime, parts, options, (machine, stop, at) => {
    guard(machine);
    if (machine.state !== "started") return undefined;
    // In turn with other changes: one of a machine that is started ends what is reserved for it.
    parts.ledger.reserve(runtime.id);
    return restarting(machine, stop, at);
  });
}

/**
 * Stops the machine, if it runs, and starts it. Its capacity stays reserved meanwhile.
 *
 * @throws Fault of `guard`: nothing was done; as {@link launch} does
 */
export async function restart(
  runtime: MachineRuntime,
  parts: RestartParts,
  stop: StopOperation,
  signal: AbortSignal,
  guard: Guard,
): Promise<Machine> {
  signal.throwIfAborted();
  refuseWhileDraining(parts.scheduling, parts.number);
  try {
    await stop.run();
  } catch (err) {
    if (runtime.machine.state !== "restarting") parts.ledger.unreserve(runtime.id);
    throw err;
  }
  signal.throwIfAborted();
  const { state, restartAtMs } = runtime.machine;
  const isBetween = state === "restarting";
  const hasBegun = isBetween && restartAtMs === undefined;
  const cause = isBetween ? "restart" : undefined;
  const { machine } = await launchAgain(runtime, parts, signal, cause, hasBegun ? undefined : guard);
  return machine;
}

/**
 * Starts a machine that is `restarting`. When that is refused the machine is tried again later, or `failed`; when the host has no slot for
 * a moment, it is tried again and nothing is counted.
 */
export async function launchAgain(
  runtime: MachineRuntime,
  parts: LaunchParts,
  signal: AbortSignal,
  cause: StartCause | undefined,
  guard?: Guard,
): Promise<StartResult> {
  try {
    return await launch(runtime, parts, signal, cause, guard);
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
