import { Fault } from "../../lib/faults/fault.ts";
import { ExecError } from "../vmm/exec.ts";

const RETRY_MS = 1_000;

/** Makes the fault of a command that did not run; other errors stay as they are. */
export function execFault(err: unknown, id: string): unknown {
  if (!(err instanceof ExecError)) return err;
  const facts = { machine_id: id };
  switch (err.kind) {
    case "failed":
      return new Fault("FAILED_PRECONDITION", "EXEC_FAILED", err.message, facts, { cause: err });
    case "too_many":
      return tooManyExecs(err.message, facts);
    case "not_running":
    case "lost":
      return interrupted(id, err.message, err);
  }
}

export function interrupted(id: string, detail: string, cause?: unknown): Fault {
  const message = `the command was killed: ${detail}`;
  return new Fault("UNAVAILABLE", "EXEC_INTERRUPTED", message, { machine_id: id }, { cause });
}

export function execTimeout(id: string, timeoutMs: number): Fault {
  const message = `the command did not end within ${timeoutMs / 1_000} s and was killed`;
  const facts = { machine_id: id, timeout_ms: String(timeoutMs) };
  return new Fault("DEADLINE_EXCEEDED", "EXEC_TIMEOUT", message, facts);
}

export function tooManyExecs(message: string, facts: Readonly<Record<string, string>>): Fault {
  return new Fault("RESOURCE_EXHAUSTED", "TOO_MANY_EXECS", message, facts, { retryAfterMs: RETRY_MS });
}
