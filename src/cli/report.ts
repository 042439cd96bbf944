import { Fault } from "../lib/runtime/fault.ts";
import { flagOf, nextSteps, remarks, type Subject } from "./hints.ts";
import type { Settings } from "./settings.ts";
import { harmless, type Paint } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";

/** Exit codes: success, failure, wrong usage. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

/** What is told about an error, as text or as JSON. */
export interface Report {
  readonly exitCode: number;
  /** Lines for a person. */
  readonly lines: readonly string[];
  /** For `--json`. */
  readonly json: { readonly error: ErrorJson };
}

/** The shape of an error with `--json`, on standard error or within a list of results. */
export interface ErrorJson {
  readonly code: string;
  readonly reason: string;
  readonly message: string;
  readonly facts: Readonly<Record<string, string>>;
  readonly violations: readonly { readonly field: string; readonly description: string }[];
  readonly next: readonly string[];
}

/** Says what went wrong, each wrong field, and what to type next. */
export function reportError(err: unknown, subject: Subject, settings: Settings, paint: Paint): Report {
  if (err instanceof UsageError) {
    const [first = "", ...rest] = err.message.split("\n");
    const json = { ...EMPTY, code: "INVALID_ARGUMENT", reason: "USAGE", message: err.message };
    return {
      exitCode: EXIT.usage,
      lines: [`${paint.red("Error:")} ${first}`, ...rest],
      json: { error: json },
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
  const { code, reason, message, facts } = fault;
  return {
    exitCode: EXIT.failed,
    lines,
    json: { error: { code, reason, message, facts, violations, next } },
  };
}

const EMPTY: ErrorJson = { code: "", reason: "", message: "", facts: {}, violations: [], next: [] };

function headline(fault: Fault): string {
  const count = fault.violations.length;
  if (count === 0) return harmless(fault.message);
  return count === 1 ? "a field is not valid" : `${count} fields are not valid`;
}

/** The error itself when it is a fault; anything else is a bug of this program, and says so. */
export function toFault(err: unknown): Fault {
  if (err instanceof Fault) return err;
  const message = err instanceof Error ? (err.stack ?? err.message) : String(err);
  return new Fault("INTERNAL", "HOVER_BUG", `hover itself failed: ${message}`, {}, { cause: err });
}
