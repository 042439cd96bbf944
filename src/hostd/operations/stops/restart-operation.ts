import { refuseWhileDraining } from "../../availability/scheduling.ts";
import type { Ledger } from "../../capacity/ledger.ts";
import { restarting } from "../../machines/change.ts";
import type { Machine } from "../../machines/machine.ts";
import type { LaunchParts } from "../launch/launch.ts";
import { launchAgain } from "../launch/launch-again.ts";
import type { MachineRuntime } from "../machine-runtime.ts";
import type { Guard, StopOptions } from "../requests/request.ts";
import { StopOperation, type StopParts } from "./stop-operation.ts";

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
 * Stops the machine, if it runs, and starts it. Its capacity stays reserved meanwhile. One that is suspended does
 * not go on.
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
  const { machine } = await launchAgain(runtime, parts, signal, {
    cause: isBetween ? "restart" : undefined,
    guard: hasBegun ? undefined : guard,
    isAnew: state === "suspended",
  });
  return machine;
}
