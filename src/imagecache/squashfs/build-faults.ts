import { Fault } from "../../lib/faults/fault.ts";

const MIB = 1024 * 1024;

/** Makes the fault of an image whose build needs too much memory. */
export function outOfMemory(limitBytes: number, cause?: unknown): Fault {
  const mib = Math.floor(limitBytes / MIB);
  const problem = `building its root file system takes more than ${mib} MiB of memory; make it smaller, or raise IMAGECACHE_BUILD_MEMORY_MB`;
  return buildFailed(problem, `${mib} MiB of memory`, cause);
}

/** Makes the fault of an image whose build takes too long. */
export function outOfTime(limitMs: number): Fault {
  const seconds = Math.ceil(limitMs / 1000);
  const problem = `building its root file system takes longer than ${seconds} s; make it smaller, or raise IMAGECACHE_BUILD_TIMEOUT`;
  return buildFailed(problem, `${seconds} s`, undefined);
}

/** Makes the fault of an image with something that cannot be written. @param output of tar2sqfs */
export function notStorable(output: string, cause: unknown): Fault {
  const why = output.trim().split("\n").at(-1)?.slice(0, 200) ?? "";
  const problem = `its root file system cannot be written: tar2sqfs: ${why}`;
  return buildFailed(problem, "what tar2sqfs can write", cause);
}

/** Makes the fault of an image whose build has crashed. @param how such as `SIGSEGV` */
export function crashed(how: string, cause?: unknown): Fault {
  const problem = `building its root file system ended with a crash (${how}); please report it with the image`;
  return buildFailed(problem, `no crash (${how})`, cause);
}

function buildFailed(problem: string, limit: string, cause: unknown): Fault {
  return new Fault("FAILED_PRECONDITION", "IMAGE_BUILD_FAILED", problem, { limit }, { cause });
}
