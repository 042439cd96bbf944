import { type Code, Fault } from "../../lib/faults/fault.ts";
import { IMAGE_FAULT_CODES } from "../../lib/oci/faults.ts";
import { crashed, outOfMemory } from "../squashfs/build-faults.ts";
import type { Failure } from "./job.ts";

/** What an image can be blamed for by the process that has read it. */
const IMAGE_REASONS = [
  ...["LAYER_TRUNCATED", "LAYER_TOO_LARGE", "LAYER_PATH_ESCAPES", "LAYER_TYPE_UNKNOWN", "LAYER_CORRUPT"],
  ...["IMAGE_DIGEST_MISMATCH", "IMAGE_TOO_LARGE", "IMAGE_BUILD_FAILED"],
] as (keyof typeof IMAGE_FAULT_CODES)[];
const CODES: ReadonlyMap<string, Code> = new Map<string, Code>([
  ...IMAGE_REASONS.map((reason) => [reason, IMAGE_FAULT_CODES[reason]] as const),
  ["SQUASH_TOOL_MISSING", "FAILED_PRECONDITION"],
  ["SQUASH_FAILED", "INTERNAL"],
]);

/** Whether a fault is that of an image: the same image fails again, wherever it is built. */
export function isOfImage(err: unknown): err is Fault {
  return err instanceof Fault && IMAGE_REASONS.some((reason) => reason === err.reason);
}

/** Makes the fault that a process has reported. @param stderr of the process, for the log */
export function faultOf({ reason, message, facts }: Failure, memoryBytes: number, stderr: string): Error {
  const cause = new Error(`the build of an image failed: ${message}: ${stderr.trim()}`);
  const code = CODES.get(reason);
  if (code !== undefined) return new Fault(code, reason, message, facts, { cause });
  if (reason === "OUT_OF_MEMORY") return outOfMemory(memoryBytes, cause);
  // An error of the system: the disk, or too many open files.
  const { code: errno = "" } = facts;
  if (/^E[A-Z0-9]+$/.test(errno)) return Object.assign(cause, { code: errno });
  return crashed("an error in our code", cause);
}
