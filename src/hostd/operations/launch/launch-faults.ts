import { Fault } from "../../../lib/faults/fault.ts";
import { LaunchError } from "../../vmm/vmm.ts";

interface ExecReason {
  /** The part of the configuration, or of the image's, that is wrong. */
  readonly field: "command" | "user" | "working_dir" | "volumes" | "image";
  readonly why: string;
  /** Whether the error says more than `why`, such as the name. */
  readonly isDetailed?: boolean;
}

const EXEC_REASONS: ReadonlyMap<string, ExecReason> = new Map(
  Object.entries({
    not_found: { field: "command", why: "there is no such file in the image" },
    not_executable: { field: "command", why: "it is not executable" },
    bad_format: { field: "command", why: "it is not a program this machine can run", isDetailed: true },
    other: { field: "command", why: "the kernel refuses it", isDetailed: true },
    bad_request: { field: "command", why: "the guest cannot take its command", isDetailed: true },
    no_such_user: { field: "user", why: "the user it is to run as is not in the image", isDetailed: true },
    bad_working_dir: {
      field: "working_dir",
      why: "its working directory cannot be entered",
      isDetailed: true,
    },
    bad_volume: { field: "volumes", why: "a volume of the image cannot be made", isDetailed: true },
    bad_etc: { field: "image", why: "the image has no usable /etc", isDetailed: true },
  }),
);

/**
 * Makes the fault EXEC_FAILED, START_TIMEOUT or START_FAILED from an error of a launch. Returns
 * other faults as they are.
 */
export function launchFault(err: unknown, program: string, isTimedOut: boolean, timeoutMs: number): Fault {
  if (err instanceof Fault) return err;
  if (err instanceof LaunchError && err.kind === "exec") return execFailed(err, program);
  if (isTimedOut || (err instanceof LaunchError && err.kind === "timeout")) {
    const message = `the process did not run within ${timeoutMs} ms`;
    const facts = { timeout_ms: String(timeoutMs) };
    return new Fault("DEADLINE_EXCEEDED", "START_TIMEOUT", message, facts, { cause: err });
  }
  const why = err instanceof LaunchError ? err.reason : "vmm";
  return startFailedFault("no virtual machine could be brought up", why, err);
}

export function startFailedFault(message: string, why: string, cause?: unknown): Fault {
  return new Fault("INTERNAL", "START_FAILED", message, { why }, { cause });
}

function execFailed(err: LaunchError, program: string): Fault {
  const { field, why, isDetailed }: ExecReason = EXEC_REASONS.get(err.reason) ?? {
    field: "command",
    why: err.reason,
  };
  const path = firstWord(program);
  const isLine = path !== program ? " (a line of several words was given as the name of one program)" : "";
  const message = `${path} could not be run${isLine}: ${why}${isDetailed ? `: ${err.message}` : ""}`;
  const facts = { path, why: err.reason, field };
  return new Fault("FAILED_PRECONDITION", "EXEC_FAILED", message, facts, { cause: err });
}

/** Cuts off what may be arguments, secrets among them, when a whole line was given as a program. */
function firstWord(program: string): string {
  const [word = ""] = program.split(/\s/, 1);
  return word === program ? program : `${word}...`;
}
