import { Fault } from "../../../lib/faults/fault.ts";
import type { Machine } from "../../machines/machine.ts";
import type { StartResult, StopOptions, StopResult } from "./request.ts";

/** An accepted request. A driver has at most one of each kind, one after the other. */
export type Accepted =
  | { readonly kind: "start"; readonly done: Promise<StartResult>; readonly cancellation: AbortController }
  | {
      readonly kind: "stop";
      readonly done: Promise<StopResult>;
      readonly stopOperation: Stop;
      /** Whether it stops the machine only if that is idle. */
      readonly isConditional: boolean;
    }
  | {
      readonly kind: "restart" | "update";
      readonly done: Promise<Machine>;
      readonly cancellation: AbortController;
      readonly stopOperation: Stop;
      readonly trial?: Trial;
    }
  | { readonly kind: "suspend"; readonly done: Promise<Machine>; readonly cancellation: AbortController }
  | { readonly kind: "destroy"; readonly done: Promise<Machine> };

/** A stop under way. */
interface Stop {
  /** Applies a second stop. */
  escalate(options: StopOptions): void;
}

/** The time in which the process of a new version runs, and does not count yet. */
interface Trial {
  readonly hasBegun: boolean;
  readonly begun: Promise<void>;
}

/**
 * Resolves when a request has ended, or has begun the trial of an update: the machine is in no
 * passing state then.
 */
export async function passed(accepted: Accepted): Promise<void> {
  const over: Promise<unknown>[] = [accepted.done.catch(() => {})];
  if ("trial" in accepted && accepted.trial && !accepted.trial.hasBegun) over.push(accepted.trial.begun);
  await Promise.race(over);
}

/** Cancels a start or a suspend, and shortens a stop, for what comes after it. */
export function cutShort(accepted: Accepted, reason: Fault, options: StopOptions): void {
  if (accepted.kind === "destroy") return;
  if (accepted.kind !== "stop") accepted.cancellation.abort(reason);
  if (accepted.kind !== "start" && accepted.kind !== "suspend") accepted.stopOperation.escalate(options);
}

/** Makes the fault of a suspend that a start has cut short. */
export function resumedEarly(id: string): Fault {
  const message = `machine ${id} was started before it was suspended: it goes on`;
  return new Fault("ABORTED", "SUSPEND_CANCELLED", message, { machine_id: id });
}

/** Makes the fault of a start that something else has cut short. */
export function cancelled(id: string, state: "stopped" | "destroyed"): Fault {
  const message = `machine ${id} was ${state} before its process ran`;
  return new Fault("FAILED_PRECONDITION", "INVALID_STATE", message, { machine_id: id, state });
}
