import { type Code, Fault, type Violation } from "../../../lib/faults/fault.ts";

/** A fault as plain data, for storing. */
export interface FaultData {
  readonly code: Code;
  readonly reason: string;
  readonly message: string;
  readonly facts: Readonly<Record<string, string>>;
  readonly violations: readonly Violation[];
}

/** Converts an error to data for the caller: an error that is no fault hides its text. */
export function faultToData(err: unknown): FaultData {
  if (err instanceof Fault) {
    const { code, reason, message, facts, violations } = err;
    return { code, reason, message, facts, violations };
  }
  const message = "something went wrong inside the service";
  return { code: "INTERNAL", reason: "INTERNAL", message, facts: {}, violations: [] };
}

export function faultFromData({ code, reason, message, facts, violations }: FaultData): Fault {
  return new Fault(code, reason, message, facts, { violations });
}
