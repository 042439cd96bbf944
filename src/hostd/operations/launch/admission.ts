import type { Release } from "../../../lib/limits/semaphore.ts";
import { attribute, nowUs, recordWait, type Span, withSpan } from "../../../lib/otel/tracing.ts";
import type { Clock } from "../../../lib/runtime/clock.ts";
import { endsWithin } from "../../../lib/runtime/wait.ts";
import { refuseWhileDraining, type Scheduling } from "../../availability/scheduling.ts";
import type { Ledger } from "../../capacity/ledger.ts";
import { usableSnapshot } from "../../machines/snapshot.ts";
import type { Store } from "../../store/store.ts";
import type { Vmm } from "../../vmm/vmm.ts";
import type { MachineRuntime } from "../machine-runtime.ts";
import type { Teardowns } from "../teardowns.ts";
import { startFailedFault } from "./launch-faults.ts";
import type { StartQueue } from "./start-queue.ts";

export interface AdmissionParts {
  readonly number: number;
  readonly scheduling: { readonly current: Scheduling };
  readonly store: Pick<Store, "flush" | "trouble">;
  readonly ledger: Pick<Ledger, "admitVm" | "fitsWithoutReclaim" | "releaseVm">;
  readonly vmm: Pick<Vmm, "reserveWarm" | "warm">;
  readonly starts: StartQueue;
  readonly teardowns: Teardowns;
  readonly clock: Pick<Clock, "monotonicMs">;
}

/** Longest wait for VMs being destroyed, whose ports or memory a start needs. */
const TEARDOWN_LIMIT_MS = 5_000;

/**
 * Admits the CPU and memory of a start, and waits for its slot, with a warm VM if there is one.
 * Returns a function that releases the slot.
 *
 * @param isAnew what a suspend has saved is not used
 */
export async function admit(
  runtime: MachineRuntime,
  parts: AdmissionParts,
  vmId: string,
  signal: AbortSignal,
  span: Span,
  isAnew = false,
): Promise<Release> {
  const { scheduling, store, starts, ledger, vmm } = parts;
  refuseWhileDraining(scheduling, parts.number);
  if (store.trouble) throw store.trouble;
  await untilLastVmFits(runtime, parts);
  signal.throwIfAborted();
  await admitVm(parts, runtime.id, vmId);
  try {
    const { machine } = runtime;
    const { org, resources } = machine.spec;
    // A saved VM needs none.
    const goesOn = machine.saved !== undefined && !isAnew;
    const needsNone = goesOn || usableSnapshot(machine) !== undefined;
    const reserveWarm = () => {
      if (needsNone) return false;
      if (span.isRecording() && vmm.warm) span.setAttribute(attribute.poolSize, vmm.warm(resources));
      return vmm.reserveWarm?.(vmId, resources) ?? false;
    };
    const entered = queueSpan(starts, span);
    try {
      return await starts.enter(org, signal, reserveWarm);
    } finally {
      entered?.();
    }
  } catch (err) {
    ledger.releaseVm(runtime.id, vmId);
    throw err;
  }
}

/** Records the wait for a slot when the result is called. Undefined: nothing is recorded. */
function queueSpan({ length }: StartQueue, span: Span): (() => void) | undefined {
  if (!span.isRecording()) return undefined;
  const startUs = nowUs();
  const attributes = { [attribute.queueLength]: length };
  span.setAttributes(attributes);
  return () => recordWait("hostd.start_queue", startUs, attributes);
}

/**
 * Waits until the last VM of the machine is destroyed when the next one needs its host ports, or memory that warm VMs have.
 * Otherwise both VMs may exist: the intent of this start makes the exit of the last VM durable.
 */
async function untilLastVmFits(runtime: MachineRuntime, parts: AdmissionParts): Promise<void> {
  const { teardowns, ledger, store } = parts;
  const { id, machine } = runtime;
  if (!teardowns.has(id) || (machine.ports.length === 0 && ledger.fitsWithoutReclaim(id))) return;
  const tornDown = () => endsWithin(TEARDOWN_LIMIT_MS, runtime.untilTornDown());
  if (await withSpan("hostd.teardown", {}, tornDown)) return;
  // A VM whose exit cannot be stored is not destroyed.
  if (store.trouble) throw store.trouble;
  throw startFailedFault("the machine's last VM cannot be removed", "teardown");
}

/**
 * Retries while VMs are being destroyed, which takes milliseconds, as long as there is no room
 * beside them.
 */
async function admitVm(parts: AdmissionParts, id: string, vmId: string): Promise<void> {
  const { ledger, teardowns, store, clock } = parts;
  const deadline = clock.monotonicMs() + TEARDOWN_LIMIT_MS;
  for (;;) {
    try {
      return ledger.admitVm(id, vmId);
    } catch (err) {
      const left = deadline - clock.monotonicMs();
      if (teardowns.size === 0 || left <= 0) throw err;
      store.flush();
      await withSpan("hostd.teardown", {}, () => endsWithin(left, teardowns.any()));
    }
  }
}
