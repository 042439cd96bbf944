import { Fault } from "../../lib/faults/fault.ts";
import { asFault } from "../../lib/grpc/status.ts";
import type { Machine } from "../machines/machine.ts";
import { hostNumberOf, type MachineId } from "../machines/machine-id.ts";
import type { Caller } from "../requests/caller.ts";
import type { AcquireTools } from "./acquire-tools.ts";
import { type Attempt, type Found, failure, type Intent, type Step } from "./ladder.ts";

/** Keeps a machine from two acquires that begin at once; released as soon as it runs. */
const LEASE_MS = 30_000;
/** Machines that one step tries, at most. */
const MAX_CANDIDATES = 8;
/** A host that answers with one of these starts no other machine either. */
const HOST_FAULTS: ReadonlySet<string> = new Set([
  ...["START_QUEUE_FULL", "HOST_UNREACHABLE", "HOST_UNKNOWN", "HOST_DRAINING"],
]);

/** What the steps of one acquire share. */
export interface Trying {
  readonly tools: AcquireTools;
  readonly caller: Caller;
  /** Names what this climb creates: another one with the same key creates anew. */
  readonly id: string;
  /** Of the call: hosts store it with each start. */
  readonly traceId: string;
  /** Stores what is about to be done. */
  record(intent: Intent): Promise<void>;
  /** Undoes what was done to a machine, now or later. */
  giveBack(found: Found): Promise<void>;
  /** The size that a host had no room for, in MB; 0 when it starts nothing. */
  readonly spent: Map<number, number>;
  /** Adds an attempt to the answer. */
  note(attempt: Attempt): void;
}

/**
 * Tries one step. Each machine that it comes to is one attempt of the answer; the last one, which may have succeeded, too.
 *
 * @throws Fault of the last attempt
 */
export async function tryStep(
  trying: Trying,
  step: Step,
  index: number,
  signal: AbortSignal,
): Promise<Found> {
  const startMs = performance.now();
  const caller = { ...trying.caller, signal };
  let reported = false;
  const note = (attempt: Omit<Attempt, "step" | "durationMs">, since = startMs): void => {
    reported = true;
    trying.note({ ...attempt, step: index, durationMs: performance.now() - since });
  };
  try {
    const found = await (step.kind === "start"
      ? startOne(trying, step.machineId, index, caller, note)
      : step.kind === "start_any"
        ? startAny(trying, step, index, caller, note)
        : launch(trying, step.request, index, caller, note));
    return found;
  } catch (err) {
    const fault = asFault(err);
    if (!reported) note({ machineId: "", outcome: "failed", ...failure(fault) });
    throw fault;
  }
}

type Note = (attempt: Omit<Attempt, "step" | "durationMs">, since?: number) => void;

async function startOne(
  trying: Trying,
  id: MachineId,
  step: number,
  caller: Caller,
  note: Note,
): Promise<Found> {
  const skipped = skipReason(trying, id, 0);
  if (skipped) {
    note({ machineId: id, outcome: "skipped", ...failure(skipped) });
    throw skipped;
  }
  return begin(trying, { kind: "start", step, machineId: id }, caller, "", note);
}

async function startAny(
  trying: Trying,
  step: Step & { readonly kind: "start_any" },
  index: number,
  caller: Caller,
  note: Note,
): Promise<Found> {
  const { tools } = trying;
  const candidates = await tools.candidates({ ...step, org: caller.org, limit: MAX_CANDIDATES });
  let last: Fault | undefined;
  for (const { id, memoryMb } of candidates) {
    caller.signal?.throwIfAborted();
    const since = performance.now();
    const skipped = skipReason(trying, id, memoryMb);
    if (skipped) {
      note({ machineId: id, outcome: "skipped", ...failure(skipped) }, since);
      last = skipped;
      continue;
    }
    let isBegun = false;
    try {
      const nonce = await tools.lease(id, LEASE_MS, caller);
      try {
        isBegun = true;
        return await begin(trying, { kind: "start", step: index, machineId: id }, caller, nonce, note, since);
      } finally {
        // The answer does not wait for it, and it ends by itself.
        tools.releaseLease(id, nonce, trying.caller).catch(() => {});
      }
    } catch (err) {
      last = asFault(err);
      if (last.reason === "INSUFFICIENT_CAPACITY") trying.spent.set(hostNumberOf(id), memoryMb);
      if (!isBegun) {
        if (HOST_FAULTS.has(last.reason)) trying.spent.set(hostNumberOf(id), 0);
        note({ machineId: id, outcome: "failed", ...failure(last) }, since);
      }
      // It is the organisation's, and the same for every machine.
      if (last.reason === "RATE_LIMITED") break;
    }
  }
  throw last ?? noCandidate(step.app, step.regions);
}

/** Starts a machine whose start is recorded. @param nonce of the lease; empty: the machine may run already */
async function begin(
  trying: Trying,
  intent: Intent & { readonly kind: "start" },
  caller: Caller,
  nonce: string,
  note: Note,
  since?: number,
): Promise<Found> {
  const { machineId, step } = intent;
  const id = machineId as MachineId;
  try {
    await trying.record(intent);
    // A start goes on when its caller has gone. Its end must be known, so that it can be undone.
    const { machine, alreadyStarted } = await trying.tools.start(id, nonce, withoutSignal(caller));
    // A start that joined the one of somebody else is not ours to undo.
    const isOurs = !alreadyStarted && ["", trying.traceId].includes(machine.lastStartTraceId);
    if (!isOurs && nonce !== "") throw isRunning(id);
    assertRuns(machine);
    note({ machineId, outcome: "started", reason: "", message: "" }, since);
    return { machine, step, ...(isOurs ? { intent } : {}) };
  } catch (err) {
    const fault = asFault(err);
    if (HOST_FAULTS.has(fault.reason)) trying.spent.set(hostNumberOf(id), 0);
    note({ machineId, outcome: "failed", ...failure(fault) }, since);
    throw fault;
  }
}

async function launch(
  { tools, id, record, giveBack }: Trying,
  request: (Step & { readonly kind: "launch" })["request"],
  step: number,
  caller: Caller,
  note: Note,
): Promise<Found> {
  tools.chargeCreate(caller.org);
  const requestId = `acquire:${id}:${step}`;
  const intent: Intent = { kind: "create", step, requestId };
  await record(intent);
  const machine = await tools.create(request, requestId, withoutSignal(caller));
  const { id: machineId } = machine;
  try {
    assertRuns(machine);
  } catch (err) {
    note({ machineId, outcome: "failed", ...failure(asFault(err)) });
    await giveBack({ machine, step, intent });
    throw err;
  }
  note({ machineId, outcome: "started", reason: "", message: "" });
  return { machine, step, intent };
}

/** Returns why a machine need not be tried. @param memoryMb its size; 0: unknown */
function skipReason({ tools, spent }: Trying, id: MachineId, memoryMb: number): Fault | undefined {
  const number = hostNumberOf(id);
  const facts = { machine_id: id, host_number: String(number) };
  if (memoryMb >= (spent.get(number) ?? Number.POSITIVE_INFINITY)) {
    const message = `the host of machine ${id} had no room a moment ago`;
    return new Fault("RESOURCE_EXHAUSTED", "INSUFFICIENT_CAPACITY", message, facts);
  }
  if (tools.statusOf(number) !== "unreachable") return undefined;
  return new Fault("UNAVAILABLE", "HOST_UNREACHABLE", `the host of machine ${id} cannot be reached`, facts);
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

function withoutSignal({ signal: _, ...caller }: Caller): Caller {
  return caller;
}

function isRunning(id: string): Fault {
  const message = `machine ${id} was started by somebody else`;
  return new Fault("ABORTED", "ALREADY_STARTED", message, { machine_id: id });
}

function noCandidate(app: string, regions: readonly string[]): Fault {
  const where = regions.length === 0 ? "" : ` in ${regions.join(", ")}`;
  const message = `app ${app} has no stopped machine${where} that fits`;
  return new Fault("NOT_FOUND", "NO_STOPPED_MACHINE", message, { app, regions: regions.join(",") });
}
