import { TimeLimit } from "../../../lib/runtime/wait.ts";
import { LaunchError } from "../vmm.ts";

/** Limits how long a guest may take until it reports. Its signal's reason is a LaunchError `boot_timeout`. */
export function bootLimit(ms: number, signal?: AbortSignal): TimeLimit {
  const message = `the guest did not report within ${ms} ms`;
  return new TimeLimit(ms, signal, () => new LaunchError("timeout", "boot_timeout", message));
}
