import { Fault } from "../../../lib/faults/fault.ts";
import { attribute, withSpan } from "../../../lib/otel/tracing.ts";
import { logger } from "../../../lib/runtime/log.ts";
import { TimeLimit } from "../../../lib/runtime/wait.ts";
import type { Ledger } from "../../capacity/ledger.ts";
import { suspended, suspendFailed, suspending } from "../../machines/decisions/suspend.ts";
import { invalidState, type Machine, type StopReason, savedMbOf } from "../../machines/machine.ts";
import type { SavedVm, Vmm } from "../../vmm/vmm.ts";
import type { MachineRuntime } from "../machine-runtime.ts";
import { operationAttributes } from "../operation-attributes.ts";
import type { Guard } from "../requests/request.ts";
import type { UnderWay } from "../under-way.ts";
import { neededMb, SAVE_TIMEOUT_MS, saveOptions } from "./saved-vms.ts";

export interface SuspendParts {
  readonly vmm: Pick<Vmm, "save" | "dropSaved">;
  readonly ledger: Pick<Ledger, "allocateSaved" | "setSaved">;
  /** For spans. */
  readonly hostName?: string;
  readonly suspendsUnderWay: UnderWay;
}

/**
 * Saves a machine that runs and ends its VM. Its disk is allocated before anything begins, and the
 * intent stored. What is saved is whole or not there, so a restarted hostd finds the machine
 * suspended, or lets it go on.
 *
 * @param signal aborts, with a Fault, when something comes before it: the machine goes on
 * @param guard called when the intent is about to be stored
 * @throws Fault of `guard`, INVALID_STATE, SUSPEND_NOT_SUPPORTED, DISK_FULL: nothing was done.
 *   SUSPEND_FAILED, the fault of `signal`: it goes on
 */
export async function suspend(
  runtime: MachineRuntime,
  parts: SuspendParts,
  signal: AbortSignal,
  guard: Guard,
  why: StopReason,
): Promise<Machine> {
  const { id } = runtime;
  const { vmm, ledger, suspendsUnderWay } = parts;
  if (!vmm.save) throw notSupported(id);
  const others = suspendsUnderWay.count;
  const operation = withSpan("hostd.suspend", { [attribute.machineId]: id }, async (span) => {
    if (span.isRecording()) span.setAttributes(operationAttributes(runtime.machine, parts.hostName, others));
    signal.throwIfAborted();
    ledger.allocateSaved(id, savedMbOf(runtime.machine) + neededMb(runtime.machine));
    try {
      const intend = () =>
        runtime.intend((machine, at) => {
          if (machine.state !== "started" || machine.vmId === undefined || machine.update)
            throw invalidState(machine, "suspended");
          guard(machine);
          return suspending(machine, why, at);
        });
      await withSpan("hostd.store", {}, intend);
    } catch (err) {
      ledger.setSaved(id, savedMbOf(runtime.machine));
      throw err;
    }
    return finish(runtime, parts, signal);
  });
  return suspendsUnderWay.track(operation);
}

async function finish(runtime: MachineRuntime, parts: SuspendParts, signal: AbortSignal): Promise<Machine> {
  const { id } = runtime;
  const { vmId = "" } = runtime.machine;
  try {
    const { bytes } = await withSpan("hostd.save", {}, () => save(runtime, parts, vmId, signal));
    await noteSaved(runtime, parts, { vmId, bytes });
  } catch (err) {
    parts.ledger.setSaved(id, savedMbOf(runtime.machine));
    const fault = signal.aborted && signal.reason instanceof Fault ? signal.reason : suspendFault(id, err);
    const isOver = runtime.machine.state !== "suspending";
    await runtime.note((machine, at) =>
      machine.state === "suspending" ? suspendFailed(machine, fault.reason, fault.message, at) : undefined,
    );
    if (isOver) throw invalidState(runtime.machine, "suspended");
    throw fault;
  }
  await withSpan("hostd.store", {}, () => runtime.untilDurable());
  return runtime.machine;
}

/** Records that a machine is saved, and destroys its VM. */
export async function noteSaved(
  runtime: MachineRuntime,
  { ledger, vmm }: SuspendParts,
  saved: { readonly vmId: string; readonly bytes: number },
): Promise<void> {
  await runtime.rest(saved.vmId, (machine, at) =>
    machine.state === "suspending" ? suspended(machine, saved, at) : undefined,
  );
  if (runtime.machine.saved?.vmId === saved.vmId) {
    ledger.setSaved(runtime.id, savedMbOf(runtime.machine));
    return;
  }
  // Its process ended while it was being saved.
  await vmm.dropSaved?.(saved.vmId);
  throw invalidState(runtime.machine, "suspended");
}

async function save(
  runtime: MachineRuntime,
  { vmm }: SuspendParts,
  vmId: string,
  signal: AbortSignal,
): Promise<SavedVm> {
  const { machine } = runtime;
  const { image } = machine.spec;
  if (!vmm.save || !image) throw notSupported(runtime.id);
  using limit = new TimeLimit(
    SAVE_TIMEOUT_MS,
    signal,
    () => new Error(`it took more than ${SAVE_TIMEOUT_MS} ms`),
  );
  const options = saveOptions(machine, image, { name: vmId, goesOn: false });
  return await vmm.save(vmId, options, limit.signal);
}

function suspendFault(id: string, cause: unknown): Fault {
  if (cause instanceof Fault) return cause;
  logger.warn("a machine could not be suspended", { machine_id: id, error: cause });
  const message = `machine ${id} could not be suspended and goes on: ${cause instanceof Error ? cause.message : String(cause)}`;
  return new Fault("INTERNAL", "SUSPEND_FAILED", message.slice(0, 400), { machine_id: id }, { cause });
}

function notSupported(id: string): Fault {
  const message = `machine ${id} cannot be suspended: its host saves no VMs; stop it instead`;
  return new Fault("UNIMPLEMENTED", "SUSPEND_NOT_SUPPORTED", message, { machine_id: id });
}
