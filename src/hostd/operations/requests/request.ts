import type { Machine, StopReason } from "../../machines/machine.ts";
import type { MachineState } from "../../machines/states.ts";

/** Refuses a call that may not change the machine. @throws Fault LEASE_HELD, MACHINE_CORDONED */
export type Guard = (machine: Machine) => void;

export interface StartResult {
  readonly machine: Machine;
  readonly previous: MachineState;
  /** The machine was started before, and nothing was done. */
  readonly already: boolean;
  readonly startPath: string;
}

/** Options of a stop. */
export interface StopOptions {
  readonly signal?: string;
  /** Grace, from the signal to SIGKILL. */
  readonly timeoutMs?: number;
  /** Default: a user asked for it. */
  readonly why?: StopReason;
}

export interface StopResult {
  readonly machine: Machine;
  /** The machine did not run, and nothing was done. */
  readonly already: boolean;
}
