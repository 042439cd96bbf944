import type { Change, Machine, Snapshot } from "./machine.ts";
import { nextGeneration, type Stamp } from "./stamp.ts";

/** A snapshot that was made of a run. */
export interface MadeSnapshot {
  readonly vmId: string;
  readonly instanceId: string;
  readonly name: string;
  readonly bytes: number;
}

/** A version whose snapshots do not work is not saved again after so many in a row. */
const MAX_FAILURES = 3;

/** Whether a machine is to be saved now: it is ready, and has no snapshot of its version. */
export function wantsSnapshot(machine: Machine): boolean {
  return machine.isReady === true && isToBeSaved(machine);
}

/** Whether a machine is to be saved as soon as it is ready. */
export function isToBeSaved({ spec, state, update, vmId, snapshot, lastStartPath }: Machine): boolean {
  if (spec.config.snapshot !== "ready" || state !== "started" || update || vmId === undefined) return false;
  // Not what an earlier moment has become.
  if (lastStartPath === "snapshot" || lastStartPath === "resume") return false;
  if (snapshot?.instanceId !== spec.instanceId) return true;
  return snapshot.name === "" && (snapshot.failures ?? 0) < MAX_FAILURES;
}

/** Returns the snapshot from which a machine is started; undefined: none. */
export function usableSnapshot({ snapshot, spec }: Machine): Snapshot | undefined {
  const isUsable =
    snapshot !== undefined &&
    snapshot.name !== "" &&
    snapshot.instanceId === spec.instanceId &&
    spec.config.snapshot === "ready";
  return isUsable ? snapshot : undefined;
}

/** Records the snapshot of a run. Undefined: the run, or its version, is over. */
export function snapshotMade(machine: Machine, of: MadeSnapshot, at: Stamp): Change | undefined {
  const { vmId, instanceId, name, bytes } = of;
  if (machine.vmId !== vmId || machine.spec.instanceId !== instanceId || !wantsSnapshot(machine))
    return undefined;
  const failures = failuresOf(machine);
  const snapshot = { instanceId, name, bytes, usedAtMs: at.nowMs, ...(failures > 0 ? { failures } : {}) };
  return { machine: { ...nextGeneration(machine, at), snapshot } };
}

/** Records that the snapshot of a machine was removed, to make room. */
export function snapshotDropped(machine: Machine, at: Stamp): Change | undefined {
  if (!machine.snapshot?.name) return undefined;
  const { snapshot: _, ...rest } = nextGeneration(machine, at);
  return { machine: rest };
}

/** Returns the snapshot of a machine after a start. */
export function afterStart(
  machine: Machine,
  startPath: string,
  hasFailed: boolean,
  nowMs: number,
): Pick<Machine, "snapshot"> {
  const { snapshot } = machine;
  if (!snapshot || !usableSnapshot(machine)) return snapshot ? { snapshot } : {};
  if (startPath === "snapshot") {
    // Failures before it were of something that has passed, such as another version of the host.
    const { failures: _, ...working } = snapshot;
    return { snapshot: { ...working, usedAtMs: nowMs } };
  }
  if (!hasFailed || machine.saved) return { snapshot };
  return { snapshot: { ...snapshot, name: "", bytes: 0, failures: failuresOf(machine) + 1 } };
}

function failuresOf({ snapshot, spec }: Machine): number {
  return snapshot?.instanceId === spec.instanceId ? (snapshot.failures ?? 0) : 0;
}
