import { ExecError, type ExecRequest } from "../../exec.ts";
import type { GuestFailure } from "./protocol.ts";
import { errnoName, programFailure } from "./start-failure.ts";

/** Makes the error for a command that the guest could not run. */
export function execFailure(failure: GuestFailure, request: ExecRequest | undefined): ExecError {
  const { step, errno, detail } = failure;
  switch (step) {
    case "user":
      return new ExecError("failed", `the machine knows no user or group "${detail}"`);
    case "working_dir":
      return new ExecError("failed", `working directory ${detail} cannot be used: ${errnoName(errno)}`);
    case "request":
      return new ExecError("failed", `the guest refused the command: ${detail}`);
    case "exec":
      return new ExecError("failed", programFailure(failure, request?.argv[0] ?? "").message);
    case "limit":
      return new ExecError("too_many", "the guest runs as many commands as it can");
    default:
      return new ExecError("lost", `the guest failed at ${step}: ${detail} (${errnoName(errno)})`);
  }
}
