import { Fault } from "../../lib/faults/fault.ts";
import { asFault } from "../../lib/grpc/status.ts";
import { hostUnreachable } from "../machines/faults.ts";
import { hostNumberOf, type MachineId } from "../machines/ids/machine-id.ts";
import type { Machine } from "../machines/machine.ts";
import type { Caller } from "../requests/caller.ts";
import { type Attempt, type Found, failure, type Intent, type Step } from "./acquire.ts";
import type { AcquireTools } from "./acquire-tools.ts";

/** Lease that keeps two acquires from taking the same machine. Released as soon as the machine runs. */
const LEASE_MS = 30_000;
/** Most machines that one step tries. */
const MAX_CANDIDATES = 32;
/** Faults after which a host would start no other machine either. */
const HOST_FAULTS: ReadonlySet<string> = new Set([
  ...["START_QUEUE_FULL", "HOST_UNREACHABLE", "HOST_UNKNOWN", "HOST_DRAINING"],
]);

/** Codes of faults after which a call may have been done, or be done yet. */
const UNANSWERED: ReadonlySet<string> = new Set(["DEADLINE_EXCEEDED", "CANCELLED", "INTERNAL", "UNKNOWN"]);
/** Those of creates, which another api goes on with. */
const UNFINISHED: ReadonlySet<string> = new Set(["UNAVAILABLE", "ABORTED"]);

/** The parts that the steps of one acquire share. */
export interface StepContext {
  readonly tools: AcquireTools;
  readonly caller: Caller;
  /**
   * Part of the request ids of creates. Unique to this run, so that a later one with the same key
   * creates anew.
   */
  readonly id: string;
  /** Trace of the call, which hosts store with each start. */
  readonly traceId: string;
  /** Stores what is about to be done. @throws Fault `KEY_IN_USE` when another api has taken over */
  record(intent: Intent): Promise<void>;
  /** Undoes what was done to a machine. Never throws: what fails is repeated later. */
  undo(found: Found): Promise<void>;
  /** Undoes what may have come of a call without an answer, beside the next step. */
  undoUnanswered(intent: Intent): void;
  /** Smallest size in MB that a host had no room for, by host number; 0: the host starts nothing. */
  readonly fullHosts: Map<number, number>;
  /** Adds an attempt to the response. */
  note(attempt: Attempt): void;
}

/**
 * Tries one step. Reports each machine that it tries as an attempt.
 *
 * @throws Fault of the last attempt
 */
export async function tryStep(
  context: StepContext,
  step: Step,
  index: number,
  signal: AbortSignal,
): Promise<Found> {
  const startMs = performance.now();
  const caller = { ...context.caller, signal };
  let reported = false;
  const note = (attempt: Omit<Attempt, "step" | "durationMs">, since = startMs): void => {
    reported = true;
    context.note({ ...attempt, step: index, durationMs: performance.now() - since });
  };
  try {
    const found = await (step.kind === "start"
      ? startOne(context, step.machineId, index, caller, note)
      : step.kind === "start_any"
        ? startAny(context, step, index, caller, note)
        : launch(context, step.request, index, caller, note));
    return found;
  } catch (err) {
    const fault = asFault(err);
    if (!reported) note({ machineId: "", outcome: "failed", ...failure(fault) });
    throw fault;
  }
}

type Note = (attempt: Omit<Attempt, "step" | "durationMs">, since?: number) => void;

async function startOne(
  context: StepContext,
  id: MachineId,
  step: number,
  caller: Caller,
  note: Note,
): Promise<Found> {
  const skipped = skipReason(context, id, 0);
  if (skipped) {
    note({ machineId: id, outcome: "skipped", ...failure(skipped) });
    throw skipped;
  }
  return startRecorded(context, { kind: "start", step, machineId: id }, caller, "", note);
}

async function startAny(
  context: StepContext,
  step: Step & { readonly kind: "start_any" },
  index: number,
  caller: Caller,
  note: Note,
): Promise<Found> {
  const { tools } = context;
  const candidates = await tools.candidates({ ...step, org: caller.org, limit: MAX_CANDIDATES });
  let last: Fault | undefined;
  for (const { id, memoryMb } of candidates) {
    caller.signal?.throwIfAborted();
    const since = performance.now();
    const skipped = skipReason(context, id, memoryMb);
    if (skipped) {
      note({ machineId: id, outcome: "skipped", ...failure(skipped) }, since);
      last = skipped;
      continue;
    }
    let isBegun = false;
    try {
      // Its nonce must be known, so that it can be released.
      const nonce = await tools.lease(id, LEASE_MS, withoutLimits(caller));
      try {
        caller.signal?.throwIfAborted();
        isBegun = true;
        return await startRecorded(
          context,
          { kind: "start", step: index, machineId: id },
          caller,
          nonce,
          note,
          since,
        );
      } finally {
        // Not awaited: the lease ends by itself.
        tools.releaseLease(id, nonce, withoutLimits(caller)).catch(() => {});
      }
    } catch (err) {
      last = asFault(err);
      if (last.reason === "INSUFFICIENT_CAPACITY") context.fullHosts.set(hostNumberOf(id), memoryMb);
      if (!isBegun) {
        if (HOST_FAULTS.has(last.reason)) context.fullHosts.set(hostNumberOf(id), 0);
        note({ machineId: id, outcome: "failed", ...failure(last) }, since);
      }
      // The limit is of the organisation: it refuses the other machines too.
      if (last.reason === "RATE_LIMITED") break;
    }
  }
  throw last ?? noCandidate(step.app, step.regions);
}

/**
 * Stores the intent of a start, then starts the machine.
 *
 * @param nonce of the lease; empty: the machine may run already
 */
async function startRecorded(
  context: StepContext,
  intent: Intent & { readonly kind: "start" },
  caller: Caller,
  nonce: string,
  note: Note,
  since?: number,
): Promise<Found> {
  const { machineId, step } = intent;
  const id = machineId as MachineId;
  try {
    await context.record(intent);
    // Not cancelled with the caller: only a start whose end is known can be undone.
    const start = context.tools.start(id, nonce, withoutLimits(caller));
    const { machine, alreadyStarted } = await answered(context, intent, start);
    // A start that joined one of another call is not undone.
    const isOurs = !alreadyStarted && ["", context.traceId].includes(machine.lastStartTraceId);
    if (!isOurs && nonce !== "") throw startedByOther(id);
    assertRuns(machine);
    note({ machineId, outcome: "started", reason: "", message: "" }, since);
    return { machine, step, ...(isOurs ? { intent } : {}) };
  } catch (err) {
    const fault = asFault(err);
    if (HOST_FAULTS.has(fault.reason)) context.fullHosts.set(hostNumberOf(id), 0);
    note({ machineId, outcome: "failed", ...failure(fault) }, since);
    throw fault;
  }
}

async function launch(
  context: StepContext,
  request: (Step & { readonly kind: "launch" })["request"],
  step: number,
  caller: Caller,
  note: Note,
): Promise<Found> {
  const { tools, id, record, undo } = context;
  tools.chargeCreate(caller.org);
  const requestId = `acquire:${id}:${step}`;
  const intent: Intent = { kind: "create", step, requestId };
  await record(intent);
  const machine = await answered(context, intent, tools.create(request, requestId, withoutLimits(caller)));
  const { id: machineId } = machine;
  try {
    assertRuns(machine);
  } catch (err) {
    note({ machineId, outcome: "failed", ...failure(asFault(err)) });
    await undo({ machine, step, intent });
    throw err;
  }
  note({ machineId, outcome: "started", reason: "", message: "" });
  return { machine, step, intent };
}

/** Has undone what may come of a call that fails without telling whether it was done. */
async function answered<T>({ undoUnanswered }: StepContext, intent: Intent, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (err) {
    const { code, reason } = asFault(err);
    const isUnfinished = intent.kind === "create" && UNFINISHED.has(code);
    if (UNANSWERED.has(code) || reason === "HOST_UNREACHABLE" || isUnfinished) undoUnanswered(intent);
    throw err;
  }
}

/** Returns why a machine is skipped; undefined: it is tried. @param memoryMb its size; 0: unknown */
function skipReason({ tools, fullHosts }: StepContext, id: MachineId, memoryMb: number): Fault | undefined {
  const number = hostNumberOf(id);
  const facts = { machine_id: id, host_number: String(number) };
  if (memoryMb >= (fullHosts.get(number) ?? Number.POSITIVE_INFINITY)) {
    const message = `the host of machine ${id} had no room a moment ago`;
    return new Fault("RESOURCE_EXHAUSTED", "INSUFFICIENT_CAPACITY", message, facts);
  }
  if (tools.statusOf(number) !== "unreachable") return undefined;
  return hostUnreachable(id, facts);
}

function assertRuns(machine: Machine): void {
  if (machine.state === "started") return;
  const [event] = machine.events;
  throw new Fault(
    "FAILED_PRECONDITION",
    event?.reason || "PROCESS_ENDED",
    `machine ${machine.id} is ${machine.state}: ${event?.message || "its process has ended"}`,
    { machine_id: machine.id, state: machine.state },
  );
}

/** Returns a caller for work whose end must be known, although it may come after the deadline of the call. */
function withoutLimits({ signal: _, remainingMs: _left, ...caller }: Caller): Caller {
  return caller;
}

function startedByOther(id: string): Fault {
  const message = `machine ${id} was started by somebody else`;
  return new Fault("ABORTED", "ALREADY_STARTED", message, { machine_id: id });
}

function noCandidate(app: string, regions: readonly string[]): Fault {
  const where = regions.length === 0 ? "" : ` in ${regions.join(", ")}`;
  const message = `app ${app} has no stopped machine${where} that fits`;
  return new Fault("NOT_FOUND", "NO_STOPPED_MACHINE", message, { app, regions: regions.join(",") });
}
