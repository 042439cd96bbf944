import { asFault } from "../../lib/grpc/status.ts";
import type { MachineId } from "../machines/ids/machine-id.ts";
import { type Machine, RUNNING_STATES } from "../machines/machine.ts";
import type { Caller } from "../requests/caller.ts";
import type { Intent } from "./acquire.ts";
import type { AcquireTools } from "./acquire-tools.ts";

/** Codes of faults after which a suspend may be under way. */
const UNANSWERED: ReadonlySet<string> = new Set(["UNAVAILABLE", "DEADLINE_EXCEEDED"]);
/** Start path of a machine that was suspended. */
const RESUME = "resume";

/** An acquire whose api has ended in the middle of it. */
export interface Abandoned {
  readonly org: string;
  readonly machineId: string | null;
  readonly step: number | null;
  readonly intents: readonly Intent[];
  readonly traceId: string;
  /** Whether a machine that was not returned yet is kept: a repeat of the key returns it. */
  readonly isKept: boolean;
}

export type Settled =
  | { readonly kind: "kept"; readonly machineId: string; readonly step: number }
  | { readonly kind: "nothing" }
  /** A create is still under way; ask again. */
  | { readonly kind: "later" };

/**
 * Leaves at most one machine of an acquire running: the one that it had chosen, else the first started one that may be
 * kept. Does not touch machines that others have started. Safe to repeat.
 *
 * @throws Fault when a host does not answer
 */
export async function settle(tools: AcquireTools, abandoned: Abandoned): Promise<Settled> {
  const caller: Caller = { org: abandoned.org, subject: "acquire" };
  const effects: { readonly intent: Intent; readonly machine: Machine }[] = [];
  for (const intent of abandoned.intents) {
    const machine = await machineOf(tools, intent, abandoned, caller);
    if (machine === "under_way") return { kind: "later" };
    if (machine) effects.push({ intent, machine });
  }
  const chosen = effects.find(({ machine }) => machine.id === abandoned.machineId);
  const kept =
    chosen ?? (abandoned.isKept ? effects.find(({ machine }) => machine.state === "started") : undefined);
  for (const { intent, machine } of effects) {
    if (machine.id !== kept?.machine.id && machine.id !== abandoned.machineId)
      await undo(tools, intent, machine, caller);
  }
  if (kept) return { kind: "kept", machineId: kept.machine.id, step: kept.intent.step };
  // A machine that ran before the acquire has no intent.
  if (abandoned.machineId !== null)
    return { kind: "kept", machineId: abandoned.machineId, step: abandoned.step ?? 0 };
  return { kind: "nothing" };
}

/**
 * Undoes what a step did to a machine. One that was suspended is suspended again: a stop would drop what it had in
 * memory.
 *
 * @throws Fault when its host does not answer
 */
export async function undo(
  tools: AcquireTools,
  intent: Intent,
  machine: Machine,
  caller: Caller,
): Promise<void> {
  const id = machine.id as MachineId;
  if (intent.kind === "create") await tools.destroy(id, caller);
  else if (machine.lastStartPath === RESUME) await suspendOrStop(tools, id, caller);
  else await tools.stop(id, caller);
}

/**
 * Suspends a machine, or stops it when its host refuses that: it must not run in any case.
 *
 * @throws Fault when its host does not answer
 */
async function suspendOrStop(tools: AcquireTools, id: MachineId, caller: Caller): Promise<void> {
  try {
    await tools.suspend(id, caller);
  } catch (err) {
    if (UNANSWERED.has(asFault(err).code)) throw err;
    await tools.stop(id, caller);
  }
}

/**
 * Undoes what may have come of an intent whose call was not answered. Returns false when a create is still under way.
 *
 * @throws Fault when its host does not answer
 */
export async function undoUnanswered(
  tools: AcquireTools,
  intent: Intent,
  by: Pick<Abandoned, "traceId" | "org">,
  caller: Caller,
): Promise<boolean> {
  const machine = await machineOf(tools, intent, by, caller);
  if (machine === "under_way") return false;
  if (machine) await undo(tools, intent, machine, caller);
  return true;
}

/** Returns the machine that an intent has started or created. */
async function machineOf(
  tools: AcquireTools,
  intent: Intent,
  { traceId, org }: Pick<Abandoned, "traceId" | "org">,
  caller: Caller,
): Promise<Machine | "under_way" | undefined> {
  if (intent.kind === "create") {
    const created = await tools.created(org, intent.requestId);
    if (!created) return "under_way";
    return created.machineId === undefined ? undefined : tools.get(created.machineId as MachineId, caller);
  }
  const id = intent.machineId as MachineId;
  const machine = await tools.get(id, caller);
  if (!machine) return undefined;
  if (RUNNING_STATES.has(machine.state)) return machine.lastStartTraceId === traceId ? machine : undefined;
  // Our start may still wait in its host's queue, where a stop cancels it. Then a suspend is refused.
  if (machine.state === "suspended") await suspendOrStop(tools, id, caller);
  else await tools.stop(id, caller);
  return undefined;
}
