import type { Fault } from "../../lib/faults/fault.ts";
import type { CreateRequest } from "../creates/store/create-state.ts";
import type { Machine } from "../machines/machine.ts";
import type { MachineId } from "../machines/machine-id.ts";

/** One way to get a machine, valid and with its defaults. */
export type Step = (
  | { readonly kind: "start"; readonly machineId: MachineId }
  | {
      readonly kind: "start_any";
      readonly app: string;
      /** In order of preference; empty: any. */
      readonly regions: readonly string[];
      /** The expression as the caller wrote it: apis resolve it differently. */
      readonly regionAsked: string;
      readonly metadata: Readonly<Record<string, string>>;
    }
  | { readonly kind: "launch"; readonly request: CreateRequest }
) & { readonly timeoutMs: number | undefined };

/** A valid request. */
export interface AcquireRequest {
  readonly org: string;
  /** Undefined: the call cannot be repeated. */
  readonly key: string | undefined;
  readonly steps: readonly Step[];
  readonly timeoutMs: number;
  /** Undefined: a slow step is waited for. */
  readonly hedgeAfterMs: number | undefined;
}

/** How a try ended. `superseded`: another step was faster. */
export type Outcome = "started" | "failed" | "skipped" | "superseded";

/** One try, as the answer tells it. */
export interface Attempt {
  readonly step: number;
  /** Empty when it came to no machine. */
  readonly machineId: string;
  readonly outcome: Outcome;
  readonly reason: string;
  readonly message: string;
  readonly durationMs: number;
}

/** What a try is about to do to a machine, stored before it is done. */
export type Intent =
  | { readonly kind: "start"; readonly step: number; readonly machineId: string }
  | { readonly kind: "create"; readonly step: number; readonly requestId: string };

/** A machine that a step has got running. */
export interface Found {
  readonly machine: Machine;
  readonly step: number;
  /** What this call has done to it, and undoes when another step was faster. Absent: it ran already. */
  readonly intent?: Intent;
}

/** The end of a whole acquire. */
export interface Acquired {
  readonly machine: Machine;
  readonly step: number;
  readonly repeated: boolean;
  readonly attempts: readonly Attempt[];
}

/** Makes the part of an attempt that a fault tells. */
export function failure(fault: Fault): Pick<Attempt, "reason" | "message"> {
  return { reason: fault.reason, message: fault.message };
}
