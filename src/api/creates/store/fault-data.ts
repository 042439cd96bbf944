import { type Code, Fault, type Violation } from "../../../lib/faults/fault.ts";

/** A fault as plain data, for storing. */
export interface FaultData {
  readonly code: Code;
  readonly reason: string;
  readonly message: string;
  readonly facts: Readonly<Record<string, string>>;
  readonly violations: readonly Violation[];
  /** When to retry, from when it failed. */
  readonly retryAfterMs?: number;
}

/** Longest stored message of a fault: callers get no more of it. */
const MAX_MESSAGE = 2_048;
const [MAX_FACTS, MAX_FACT] = [32, 512];
const MAX_VIOLATIONS = 32;

/** Converts an error to data for the caller: an error that is no fault hides its text. */
export function faultToData(err: unknown): FaultData {
  if (err instanceof Fault) {
    const { code, reason, retryAfterMs } = err;
    const facts = Object.entries(err.facts).slice(0, MAX_FACTS);
    return {
      ...{ code, reason, message: cut(err.message, MAX_MESSAGE) },
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      facts: Object.fromEntries(facts.map(([name, value]) => [name, cut(String(value), MAX_FACT)])),
      violations: err.violations.slice(0, MAX_VIOLATIONS).map(({ field, description }) => ({
        field: cut(field, MAX_FACT),
        description: cut(description, MAX_FACT),
      })),
    };
  }
  const message = "something went wrong inside the service";
  return { code: "INTERNAL", reason: "INTERNAL", message, facts: {}, violations: [] };
}

export function faultFromData({ code, reason, message, facts, violations, retryAfterMs }: FaultData): Fault {
  const retry = retryAfterMs === undefined ? {} : { retryAfterMs };
  return new Fault(code, reason, message, facts, { violations, ...retry });
}

function cut(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max - 1)}…`;
}
