import { Fault } from "../../../lib/faults/fault.ts";
import type { Change, Machine, PendingStop, PendingUpdate } from "../machine.ts";
import { nextScheduled } from "../own-starts/schedule.ts";
import { move, nextGeneration, type Stamp, withEvent } from "../stamp.ts";
import type { MachineSpec, UpdateKey, Version } from "../version.ts";

/** Updates of a machine that a repeat finds. Older ones would be made again. */
const MAX_UPDATES = 16;

/** Options of an update. */
export interface UpdateOptions {
  /** Starts the new version, also when the machine does not run. */
  readonly launch: boolean;
  /** Leaves a machine that runs stopped. */
  readonly skipLaunch: boolean;
  /** How long the new process must run to count; else the old version returns. Undefined: no rollback. */
  readonly rollbackWithinMs: number | undefined;
}

/** Whether an update leaves a running VM behind or makes one: the machine is `updating` meanwhile. */
function willSwitch(machine: Machine, options: UpdateOptions): boolean {
  return isRunning(machine) || willLaunch(machine, options);
}

/** Whether an update of this machine starts the new version. One that has failed was meant to run. */
export function willLaunch(machine: Machine, { launch, skipLaunch }: UpdateOptions): boolean {
  const isToRun = isRunning(machine) || machine.state === "failed";
  return isToRun ? !skipLaunch : launch;
}

/**
 * Replaces the version.
 *
 * @param placed ports of the new version, the stop of the old VM if there is one, and the key of the call
 */
export function updated(
  machine: Machine,
  version: Version,
  options: UpdateOptions,
  placed: {
    readonly ports: readonly number[];
    readonly stop: PendingStop | undefined;
    readonly key?: UpdateKey | undefined;
  },
  at: Stamp,
): Change {
  const { image: _image, previous: _previous, ...identity } = machine.spec;
  const { key } = placed;
  const made = key && [{ ...key, instanceId: version.instanceId }, ...(identity.updates ?? [])];
  const updates = made && { updates: made.slice(0, MAX_UPDATES) };
  const spec: MachineSpec = { ...identity, ...updates, ...version };
  const event = { type: "update", source: "user" } as const;
  const { restarts: _restarts, restartAtMs: _at, saved: _saved, snapshot: _snapshot, ...kept } = machine;
  const isBetweenRuns = machine.state === "restarting" && machine.vmId === undefined;
  if (isBetweenRuns && !willLaunch(machine, options)) {
    return withEvent({ ...scheduled(move(kept, "stopped", at), spec, at), ports: placed.ports }, event, at);
  }
  if (!willSwitch(machine, options)) {
    // What was saved is of the old version.
    const next = machine.state === "suspended" ? move(kept, "stopped", at) : nextGeneration(kept, at);
    return withEvent({ ...scheduled(next, spec, at), ports: placed.ports }, event, at);
  }
  const next = scheduled(move(kept, "updating", at), { ...spec, previous: versionOf(machine.spec) }, at);
  const { rollbackWithinMs } = options;
  const update: PendingUpdate = {
    from: isRunning(machine) ? "started" : restingState(machine),
    launch: willLaunch(machine, options),
    previousPorts: machine.ports,
    ...(rollbackWithinMs === undefined ? {} : { rollbackWithinMs }),
  };
  const stop = placed.stop && machine.vmId !== undefined ? { stop: placed.stop } : {};
  return withEvent({ ...next, ...stop, update, ports: placed.ports }, event, at);
}

/** Brings the old version back: to run again if it ran, otherwise to the state that it was in. */
export function rolledBack(machine: Machine, at: Stamp): Change {
  const { update } = machine;
  const { previous, image: _image, ...identity } = machine.spec;
  if (!update?.failure || !previous) throw new Error(`machine ${machine.id} has no version to go back to`);
  const event = {
    type: "update",
    source: "hostd",
    reason: "ROLLED_BACK",
    message: `the old version is back: ${update.failure.message}`,
  } as const;
  // A repeat tries again.
  const updates = identity.updates?.filter(({ instanceId }) => instanceId !== identity.instanceId);
  const spec: MachineSpec = { ...identity, ...(updates ? { updates } : {}), ...previous };
  const ports = update.previousPorts;
  if (update.from !== "started") {
    const { update: _, ...next } = move(machine, update.from, at);
    return withEvent({ ...scheduled(next, spec, at), ports }, event, at);
  }
  const back: PendingUpdate = { ...update, isRollback: true, launch: true, previousPorts: machine.ports };
  const next = scheduled(nextGeneration(machine, at), { ...spec, previous: versionOf(machine.spec) }, at);
  return withEvent({ ...next, update: back, ports }, event, at);
}

/** Records that a version was not started, e.g. for lack of capacity: it is rolled back, or `failed`. */
export function updateRefused(
  machine: Machine,
  failure: { reason: string; message: string },
  at: Stamp,
): Change {
  const event = { type: "failure", source: "hostd", ...failure } as const;
  const update = failedUpdate(machine, failure);
  if (update) return withEvent({ ...nextGeneration(machine, at), update }, event, at);
  return withEvent(settled(move(machine, "failed", at)), event, at);
}

/** Ends an update: the present version stays. */
export function settled(machine: Machine): Machine {
  if (!machine.update) return machine;
  const { update: _, ...rest } = machine;
  const { previous: _previous, ...spec } = machine.spec;
  return { ...rest, spec };
}

/** Records that the process of a new version has run for as long as it must. */
export function ready(machine: Machine, at: Stamp): Change | undefined {
  // It may have ended just now.
  const isReady = machine.state === "started" && machine.update !== undefined;
  return isReady ? { machine: settled(nextGeneration(machine, at)) } : undefined;
}

/**
 * Returns the update of a machine whose new version is not ready; undefined when it is not to be
 * rolled back.
 */
export function failedUpdate(
  { update }: Machine,
  failure: { reason: string; message: string },
): PendingUpdate | undefined {
  if (update?.rollbackWithinMs === undefined || update.isRollback) return undefined;
  return { ...update, failure };
}

/** Replaces the metadata, without a new version. Undefined when nothing changes. */
export function withMetadata(
  machine: Machine,
  patch: (metadata: Readonly<Record<string, string>>) => Readonly<Record<string, string>>,
  at: Stamp,
): Change | undefined {
  const before = machine.spec.config.metadata;
  const metadata = patch(before);
  if (isSame(before, metadata)) return undefined;
  const { previous } = machine.spec;
  const spec: MachineSpec = {
    ...machine.spec,
    config: { ...machine.spec.config, metadata },
    // A rollback keeps it too.
    ...(previous && {
      previous: { ...previous, config: { ...previous.config, metadata: patch(previous.config.metadata) } },
    }),
  };
  return { machine: { ...nextGeneration(machine, at), spec } };
}

/** Sets or ends the cordon. Undefined when nothing changes. */
export function cordoned(machine: Machine, isCordoned: boolean, at: Stamp): Change | undefined {
  if ((machine.isCordoned ?? false) === isCordoned) return undefined;
  const type = isCordoned ? "cordon" : "uncordon";
  return withEvent({ ...nextGeneration(machine, at), isCordoned }, { type, source: "user" }, at);
}

export function versionMismatch(
  code: "ABORTED" | "FAILED_PRECONDITION",
  { id, spec }: Machine,
  asked: string,
): Fault {
  return new Fault(
    code,
    "VERSION_MISMATCH",
    `machine ${id} has the version ${spec.instanceId}, not ${asked}: read it again`,
    { machine_id: id, current_version: spec.instanceId },
  );
}

/** One that is `suspending` has not been taken over yet: otherwise an update comes after the suspend. */
function isRunning({ state }: Machine): boolean {
  return state === "started" || state === "suspending" || state === "restarting";
}

function restingState({ state }: Machine): PendingUpdate["from"] {
  return state === "created" || state === "failed" ? state : "stopped";
}

function versionOf({ instanceId, config, imageRef, resources, image }: MachineSpec): Version {
  return { instanceId, config, imageRef, resources, ...(image ? { image } : {}) };
}

/** Sets the spec, and the next start of its schedule. */
function scheduled(machine: Machine, spec: MachineSpec, at: Stamp): Machine {
  const { scheduledAtMs: _, ...rest } = machine;
  const scheduledAtMs = nextScheduled(spec.config.schedule, spec.createdAtMs, at.nowMs);
  return { ...rest, spec, ...(scheduledAtMs === undefined ? {} : { scheduledAtMs }) };
}

function isSame(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const [before, after] = [Object.entries(a), Object.keys(b)];
  return (
    before.length === after.length &&
    before.every(([key, value]) => Object.hasOwn(b, key) && b[key] === value)
  );
}
