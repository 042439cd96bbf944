import { Fault } from "../../lib/faults/fault.ts";
import { flagOf, nextSteps, remarks, type Subject } from "./faults/hints.ts";
import { UsageError } from "./faults/usage-error.ts";
import type { Settings } from "./settings.ts";
import { harmless, type Paint } from "./terminal.ts";

/** Exit codes: success, failure, wrong usage. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

/** Describes an error for a person and for `--json`: each wrong field, and the next command. */
export function reportError(err: unknown, subject: Subject, settings: Settings, paint: Paint) {
  if (err instanceof UsageError) {
    const error = { code: "INVALID_ARGUMENT", reason: "USAGE", message: err.message, facts: {} };
    return {
      exitCode: EXIT.usage,
      lines: [`${paint.red("Error:")} ${err.message}`],
      json: { error: { ...error, violations: [], next: [] } },
    };
  }
  const fault = toFault(err);
  const next = nextSteps(fault, subject, settings);
  const violations = fault.violations.map(({ field, description }) => ({ field, description }));
  const lines = [
    `${paint.red("Error:")} ${headline(fault)} ${paint.dim(`(${fault.reason})`)}`,
    ...violations.map((v) => {
      const flag = flagOf(v.field);
      return `  - ${harmless(v.field)}${flag ? ` (${flag})` : ""}: ${harmless(v.description)}`;
    }),
    ...remarks(fault, settings).map((remark) => `  ${remark}`),
    ...next.map((step, i) => `${i === 0 ? "Next:" : "  or:"} ${step}`),
  ];
  const { code, reason, message, facts, retryAfterMs } = fault;
  const retry = retryAfterMs === undefined ? {} : { retry_after_ms: retryAfterMs };
  return {
    exitCode: EXIT.failed,
    lines,
    json: { error: { code, reason, message, facts, violations, ...retry, next } },
  };
}

function headline(fault: Fault): string {
  const count = fault.violations.length;
  if (count === 0) return harmless(fault.message);
  return count === 1 ? "a field is not valid" : `${count} fields are not valid`;
}

/** Returns a fault as it is. Any other error is a bug of this program. */
export function toFault(err: unknown): Fault {
  if (err instanceof Fault) return err;
  const message = err instanceof Error ? (err.stack ?? err.message) : String(err);
  return new Fault("INTERNAL", "HOVER_BUG", `hover itself failed: ${message}`, {}, { cause: err });
}
