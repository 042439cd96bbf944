import { type Code, Fault, type Violation } from "../../lib/runtime/fault.ts";

/** A fault as plain data, for storing. */
export interface FaultData {
  readonly code: Code;
  readonly reason: string;
  readonly message: string;
  readonly facts: Readonly<Record<string, string>>;
  readonly violations: readonly Violation[];
}

/** Any error as data that may be stored and shown to the caller: what is not a fault hides its text. */
export function faultData(err: unknown): FaultData {
  if (err instanceof Fault) {
    const { code, reason, message, facts, violations } = err;
    return { code, reason, message, facts, violations };
  }
  const message = "something went wrong inside the service";
  return { code: "INTERNAL", reason: "INTERNAL", message, facts: {}, violations: [] };
}

/** The fault that was stored. */
export function toFault(data: FaultData): Fault {
  return new Fault(data.code, data.reason, data.message, data.facts, { violations: data.violations });
}
