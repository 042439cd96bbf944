import { Fault } from "../../lib/faults/fault.ts";
import { LaunchError } from "../vmm/vmm.ts";

const EXEC_WHY: Readonly<Record<string, string>> = {
  not_found: "there is no such file in the image",
  not_executable: "it is not executable",
  bad_format: "it is not a program this machine can run",
  no_such_user: "the user it is to run as is not in the image",
  bad_working_dir: "its working directory cannot be entered",
};

/** Makes the fault EXEC_FAILED, START_TIMEOUT or START_FAILED from an error of a launch. Returns other faults as they are. */
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
  const message = `${program} could not be run: ${EXEC_WHY[err.reason] ?? err.reason}`;
  const facts = { path: program, why: err.reason };
  return new Fault("FAILED_PRECONDITION", "EXEC_FAILED", message, facts, { cause: err });
}
