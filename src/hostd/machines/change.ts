import { continueRun, resumeInterrupted, withoutSaved } from "./decisions/suspend.ts";
import { failedUpdate, settled } from "./decisions/update.ts";
import { beginRun } from "./health/readiness.ts";
import type {
  Caller,
  Change,
  ExitInfo,
  Lease,
  Machine,
  MachineId,
  PendingStop,
  StartCause,
  StopReason,
} from "./machine.ts";
import { countRestart, decideRestart, decideRetry, describeExhausted } from "./own-starts/restarts.ts";
import { advanced, nextScheduled } from "./own-starts/schedule.ts";
import { afterStart } from "./snapshot.ts";
import { move, nextGeneration, type Stamp, withEvent } from "./stamp.ts";
import type { LocalImage, MachineSpec } from "./version.ts";

/** Longest text of an event. */
const MAX_MESSAGE = 500;

/** Makes a machine from an award. */
export function newMachine(
  id: MachineId,
  spec: MachineSpec,
  placed: {
    readonly ports: readonly number[];
    readonly launchUntilMs: number | undefined;
    readonly isCordoned?: boolean;
    readonly lease: Lease | undefined;
  },
  at: Stamp,
): Change {
  const scheduledAtMs = nextScheduled(spec.config.schedule, spec.createdAtMs, at.nowMs);
  const machine: Machine = {
    id,
    spec,
    state: "creating",
    generation: 1,
    updatedAtMs: at.nowMs,
    events: [],
    ports: placed.ports,
    lastStartPath: "",
    lastStartTraceId: "",
    ...(placed.launchUntilMs === undefined ? {} : { launchUntilMs: placed.launchUntilMs }),
    ...(placed.isCordoned ? { isCordoned: true } : {}),
    ...(placed.lease === undefined ? {} : { lease: placed.lease }),
    ...(scheduledAtMs === undefined ? {} : { scheduledAtMs }),
  };
  return withEvent(machine, { type: "launch", source: "user" }, at);
}

export function prepared(machine: Machine, image: LocalImage, at: Stamp): Change {
  const next = move(machine, "created", at);
  return { machine: { ...next, spec: { ...machine.spec, image } } };
}

/**
 * Begins a start. The id of the VM is stored before the VM runs anything, so that a restarted hostd
 * finds its machine.
 */
export function starting(
  machine: Machine,
  start: {
    vmId: string;
    ports: readonly number[];
    traceId: string;
    spanId: string;
    cause?: StartCause | undefined;
    caller?: Caller | undefined;
  },
  at: Stamp,
): Change {
  const moved = advanced(move(machine, "starting", at), at.nowMs);
  const { launchUntilMs: _, restartAtMs: _at, restarts: before, ...rest } = moved;
  const { vmId, ports, traceId, spanId, cause, caller = "user" } = start;
  const restarts = cause === "policy" ? { restarts: countRestart(before, at.nowMs) } : {};
  const startCause = cause === undefined ? {} : { startCause: cause };
  const startCaller = caller === "user" ? {} : { startCaller: caller };
  return {
    machine: {
      ...{ ...rest, ...restarts, ...startCause, ...startCaller, vmId, ports },
      ...{ lastStartTraceId: traceId, lastStartSpanId: spanId },
    },
  };
}

/**
 * Records that the process runs. Ends an update, unless its process must run for a while before it
 * counts.
 */
export function started(
  machine: Machine,
  startPath: string,
  at: Stamp,
  resumeFailure?: string | undefined,
): Change {
  const moved = {
    ...move(machine, "started", at),
    ...{ lastStartPath: startPath, runAtMs: at.nowMs },
    ...afterStart(machine, startPath, resumeFailure !== undefined, at.nowMs),
  };
  const { startCause, startCaller, saved, ...run } = moved;
  const isResumed = saved !== undefined && startPath === "resume";
  const next = isResumed ? continueRun(run, saved, at.nowMs) : beginRun(run, at.nowMs);
  const { update } = machine;
  const isTried = update?.rollbackWithinMs !== undefined && !update.isRollback;
  const running = isTried
    ? { ...next, update: { ...update, readyAtMs: at.nowMs + (update.rollbackWithinMs ?? 0) } }
    : settled(next);
  const source = startCause === "policy" || startCause === "schedule" ? "hostd" : (startCaller ?? "user");
  const message =
    resumeFailure === undefined ? "" : `started anew, as what was saved could not go on: ${resumeFailure}`;
  return withEvent(running, { type: "start", source, message: message.slice(0, MAX_MESSAGE) }, at);
}

/**
 * Records a failed start. A new version with a rollback is `updating`, and a restart by the policy
 * is tried again.
 */
export function startFailed(machine: Machine, reason: string, message: string, at: Stamp): Change {
  const event = { type: "failure", source: "hostd", reason, message } as const;
  const failed = failedUpdate(machine, { reason, message });
  if (failed) return withEvent({ ...withoutVm(move(machine, "updating", at)), update: failed }, event, at);
  const again = machine.startCause === "policy" ? decideRestart(machine, true, at.nowMs) : undefined;
  if (again?.kind === "restart") {
    const next = { ...withoutVm(move(machine, "restarting", at)), restartAtMs: again.atMs };
    return withEvent(next, event, at);
  }
  const why = again?.kind === "exhausted" ? `${message}; ${describeExhausted(again.retries)}` : message;
  return withEvent(
    withoutSaved(settled(withoutVm(move(machine, "failed", at)))),
    { ...event, message: why },
    at,
  );
}

/**
 * Records that a restart was refused, e.g. for lack of capacity. It is tried again, or the machine
 * is `failed`.
 */
export function restartRefused(machine: Machine, reason: string, message: string, at: Stamp): Change {
  const again = decideRetry(machine, at.nowMs);
  if (again.kind === "restart") {
    const timesMs = countRestart(machine.restarts, at.nowMs).timesMs;
    const restarts = { count: machine.restarts?.count ?? 0, timesMs };
    return { machine: { ...nextGeneration(machine, at), restarts, restartAtMs: again.atMs } };
  }
  const { restartAtMs: _, ...next } = settled(move(machine, "failed", at));
  return withEvent(next, { type: "failure", source: "hostd", reason, message }, at);
}

/** Records that a start was cancelled before the process ran. */
export function startCancelled(machine: Machine, at: Stamp): Change {
  const next = withoutSaved(settled(withoutVm(move(machine, "stopped", at))));
  return withEvent(next, { type: "stop", source: "user", message: "stopped before its process ran" }, at);
}

/**
 * Records that hostd ended during a start, before the process ran. A start without a call becomes
 * due again; a machine whose saved VM is there is `suspended`.
 */
export function startInterrupted(machine: Machine, at: Stamp): Change {
  const { startCause: cause, update } = machine;
  if (machine.saved && !update) return resumeInterrupted(machine, at);
  if (update) return { machine: withoutVm(move(machine, "updating", at)) };
  if (cause === "policy" || cause === "restart") {
    const atMs = cause === "policy" ? { restartAtMs: at.nowMs } : {};
    return { machine: { ...withoutVm(move(machine, "restarting", at)), ...atMs } };
  }
  const isDue = cause === "schedule" && machine.scheduledAtMs !== undefined;
  const next = { ...withoutVm(move(machine, "stopped", at)), ...(isDue ? { scheduledAtMs: at.nowMs } : {}) };
  const then = isDue ? "it is started again" : "start it again";
  const message = `the host's daemon restarted before the process ran; ${then}`;
  return withEvent(next, { type: "failure", source: "hostd", reason: "START_INTERRUPTED", message }, at);
}

export function stopping(
  machine: Machine,
  stop: PendingStop,
  at: Stamp,
  why: StopReason = { source: "user", message: "" },
): Change {
  const { restartAtMs: _, ...next } = move(machine, "stopping", at);
  return withEvent({ ...next, stop }, { type: "stop", ...why }, at);
}

/** Records a stop of a machine that has no process: it was never started, failed, or is between two runs. */
export function stoppedWithoutProcess(machine: Machine, at: Stamp): Change {
  const { restartAtMs: _at, launchUntilMs: _, ...next } = withoutSaved(settled(move(machine, "stopped", at)));
  const again = machine.state === "created" ? "" : " again";
  const message = `stopped before it was started${again}`;
  return withEvent(next, { type: "stop", source: "user", message }, at);
}

/** Records that a start without a call was denied. */
export function restartDenied(machine: Machine, reason: string, message: string, at: Stamp): Change {
  const { restartAtMs: _, ...next } = settled(move(machine, "stopped", at));
  return withEvent(next, { type: "failure", source: "hostd", reason, message }, at);
}

/** Begins a restart that a call has asked for: the VM is stopped first. */
export function restarting(machine: Machine, stop: PendingStop, at: Stamp): Change {
  return withEvent({ ...move(machine, "restarting", at), stop }, { type: "restart", source: "user" }, at);
}

/**
 * Records the end of the process, or of the VM without an exit event (`lost`: why). What follows is in this order: what is under way
 * (removal, stop, restart, update), the rollback of an update, the restart policy.
 */
export function exited(machine: Machine, exit: ExitInfo, lost: string | undefined, at: Stamp): Change {
  const text = lost === undefined ? describeExit(exit) : `the virtual machine was lost: ${lost}`;
  const reason = lost === undefined ? "" : "VM_LOST";
  const isFailure = lost !== undefined || exit.exitCode !== 0;
  const after = afterExit(machine, isFailure, { reason: reason || "PROCESS_ENDED", message: text }, at);
  const { state } = after.machine;
  const isAgain = state === "restarting" || state === "updating";
  const event = {
    type: "exit",
    source: "hostd",
    exit: isAgain ? { ...exit, restarting: true } : exit,
    message: after.retries === undefined ? text : `${text}; ${describeExhausted(after.retries)}`,
    reason: reason || (after.retries === undefined ? "" : "RESTARTS_EXHAUSTED"),
    restartCount: machine.restarts?.count ?? 0,
    instanceId: versionThatRan(machine),
  } as const;
  return withEvent(withoutVm(after.machine), event, at);
}

function afterExit(
  machine: Machine,
  isFailure: boolean,
  why: { reason: string; message: string },
  at: Stamp,
): { readonly machine: Machine; readonly retries?: number } {
  switch (machine.state) {
    case "destroying":
    case "restarting":
      return { machine: nextGeneration(machine, at) };
    case "updating":
      if (machine.update?.launch) return { machine: nextGeneration(machine, at) };
      break;
    case "suspending":
    case "started": {
      const update = failedUpdate(machine, why);
      if (update) return { machine: { ...move(machine, "updating", at), update } };
      const again = decideRestart(machine, isFailure, at.nowMs);
      if (again.kind === "restart")
        return { machine: { ...settled(move(machine, "restarting", at)), restartAtMs: again.atMs } };
      if (again.kind === "exhausted")
        return { machine: settled(move(machine, "stopped", at)), retries: again.retries };
    }
  }
  return { machine: settled(move(machine, "stopped", at)) };
}

/** While an update stops the old VM, or a call cuts that short, the spec has the new version already. */
function versionThatRan({ state, spec, update }: Machine): string {
  const isEnding = state === "updating" || state === "stopping" || state === "destroying";
  const isOld = isEnding && update !== undefined && update.readyAtMs === undefined;
  return (isOld ? spec.previous?.instanceId : undefined) ?? spec.instanceId;
}

export function destroying(
  machine: Machine,
  { source, message }: { readonly source: "user" | "hostd"; readonly message: string },
  at: Stamp,
): Change {
  const {
    launchUntilMs: _,
    restartAtMs: _at,
    scheduledAtMs: _next,
    ...next
  } = move(machine, "destroying", at);
  return withEvent(next, { type: "destroy", source, message }, at);
}

export function destroyed(machine: Machine, at: Stamp): Change {
  const {
    lease: _,
    snapshot: _snapshot,
    ...next
  } = withoutSaved(settled(withoutVm(move(machine, "destroyed", at))));
  return { machine: { ...next, ports: [] } };
}

function withoutVm(machine: Machine): Machine {
  const { vmId: _vm, stop: _stop, startCause: _cause, startCaller: _caller, ...rest } = machine;
  const { runAtMs: _at, isReady: _ready, checks: _checks, busy: _busy, resumed: _resumed, ...ended } = rest;
  return ended;
}

function describeExit(exit: ExitInfo): string {
  if (exit.oomKilled) return "the guest's kernel killed the process for lack of memory";
  if (exit.signal !== "") return `the process was ended by ${exit.signal}`;
  return `the process exited with code ${exit.exitCode ?? "unknown"}`;
}
