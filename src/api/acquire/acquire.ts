import type { Fault } from "../../lib/faults/fault.ts";
import type { CreateRequest } from "../creates/store/create-state.ts";
import type { MachineId } from "../machines/ids/machine-id.ts";
import type { Machine } from "../machines/machine.ts";

/** One step of an acquire, valid and with its defaults. */
export type Step = (
  | { readonly kind: "start"; readonly machineId: MachineId }
  | {
      readonly kind: "start_any";
      readonly app: string;
      /** In order of preference; empty: any. */
      readonly regions: readonly string[];
      /** The expression as the caller wrote it. Apis of different regions resolve it differently. */
      readonly regionAsked: string;
      readonly metadata: Readonly<Record<string, string>>;
    }
  | { readonly kind: "launch"; readonly request: CreateRequest }
) & { readonly timeoutMs: number | undefined };

/** A valid request, with its defaults. */
export interface AcquireRequest {
  readonly org: string;
  /** Undefined: the call cannot be repeated. */
  readonly key: string | undefined;
  readonly steps: readonly Step[];
  readonly timeoutMs: number;
  /** Undefined: the next step begins only when the last one has failed. */
  readonly hedgeAfterMs: number | undefined;
}

/** How an attempt ended. `superseded`: another step was faster. */
export type Outcome = "started" | "failed" | "skipped" | "superseded";

/** One attempt, as the response lists it. */
export interface Attempt {
  readonly step: number;
  /** Empty when the step found no machine to try. */
  readonly machineId: string;
  readonly outcome: Outcome;
  readonly reason: string;
  readonly message: string;
  readonly durationMs: number;
}

/** What an attempt is about to do with a machine, stored before it is done. */
export type Intent =
  | { readonly kind: "start"; readonly step: number; readonly machineId: string }
  | { readonly kind: "create"; readonly step: number; readonly requestId: string };

/** A started machine, and the step that yielded it. */
export interface Found {
  readonly machine: Machine;
  readonly step: number;
  /** What this call did, to be undone when another step was faster. Absent: the machine ran already. */
  readonly intent?: Intent;
}

/** The result of an acquire. */
export interface Acquired {
  readonly machine: Machine;
  readonly step: number;
  readonly repeated: boolean;
  readonly attempts: readonly Attempt[];
}

/** Makes the part of an attempt that comes from its fault. */
export function failure(fault: Fault): Pick<Attempt, "reason" | "message"> {
  return { reason: fault.reason, message: fault.message };
}
