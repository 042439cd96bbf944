import { getSystemErrorName } from "node:util";
import { LaunchError, type Workload } from "../../vmm.ts";
import type { GuestFailure } from "./protocol.ts";

const EXEC_REASONS: Readonly<Record<string, string>> = {
  ENOENT: "not_found",
  ENOTDIR: "not_found",
  EACCES: "not_executable",
  EPERM: "not_executable",
  ENOEXEC: "bad_format",
};
const ETC_FAULTS: ReadonlySet<string> = new Set(["ENOTDIR", "ENOENT", "ELOOP", "EISDIR"]);

/** Makes the error for a workload that the guest could not start. */
export function startFailure(failure: GuestFailure, workload: Workload): LaunchError {
  const { step, errno, detail } = failure;
  const name = errnoName(errno);
  const program = workload.argv[0] ?? "";
  switch (step) {
    case "user":
      return new LaunchError("exec", "no_such_user", `the image knows no user or group "${workload.user}"`);
    case "working_dir": {
      const message = `working directory ${workload.workingDir} cannot be used: ${name}`;
      return new LaunchError("exec", "bad_working_dir", message);
    }
    case "volume":
      return new LaunchError("exec", "bad_volume", `volume ${detail} cannot be made in the image: ${name}`);
    case "request":
      return new LaunchError("exec", "bad_request", `the guest refused the request: ${detail}`);
    case "files":
      if (ETC_FAULTS.has(name))
        return new LaunchError("exec", "bad_etc", `${detail} cannot be written in the image: ${name}`);
      return vmmFailure(step, errno, detail);
    case "file":
      return new LaunchError("exec", "bad_file", `file ${detail} cannot be written in the image: ${name}`);
    case "exec": {
      const { reason, message } = programFailure(failure, program);
      return new LaunchError("exec", reason, message);
    }
    default:
      return vmmFailure(step, errno, detail);
  }
}

/** Says why a program could not be exec'ed. */
export function programFailure({ errno, detail }: GuestFailure, program: string) {
  const name = errnoName(errno);
  const reason = EXEC_REASONS[name] ?? "other";
  const subject = detail === "" || detail === program ? `program "${program}"` : detail;
  return { reason, message: `${subject} ${execPhrase(reason, name)}` };
}

function vmmFailure(step: string, errno: number, detail: string): LaunchError {
  const message = `the guest failed at ${step}: ${detail}${errno ? ` (${errnoName(errno)})` : ""}`;
  return new LaunchError("vmm", step, message);
}

/** Turns whatever ended a launch into a LaunchError. `stderr` is what QEMU wrote. */
export function asLaunchError(err: unknown, stderr: string): LaunchError {
  if (err instanceof LaunchError) return err;
  const message = err instanceof Error ? err.message : String(err);
  return new LaunchError("vmm", "launch_failed", stderr === "" ? message : `${message}: ${stderr}`, err);
}

function execPhrase(reason: string, name: string): string {
  switch (reason) {
    case "not_found":
      return "does not exist in the image";
    case "not_executable":
      return `may not be executed (${name})`;
    case "bad_format":
      return "is not a program this machine can run (ENOEXEC)";
    default:
      return `cannot be executed: ${name}`;
  }
}

export function errnoName(errno: number): string {
  return errno > 0 && errno < 4096 ? getSystemErrorName(-errno) : `error ${errno}`;
}
