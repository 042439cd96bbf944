import { execFile } from "node:child_process";
import { closeSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";

/** Files and folders are for their owner alone, unless a mode is set afterwards. */
const UMASK = 0o077;
const O_CLOEXEC = 0o2000000;
const LIMIT_TIMEOUT_MS = 5_000;

/**
 * Gives this process and its children nothing that is meant for others: closes the descriptors that it has inherited, makes files private,
 * and keeps its memory out of core files. Call it before anything is opened.
 */
export function secureProcess(): void {
  process.umask(UMASK);
  closeInherited();
  // Inherited by children, and obeyed also where the kernel pipes cores to a program.
  write("/proc/self/coredump_filter", "0");
}

/** Forbids core files to this process and its children. @throws Error when prlimit does not work */
export async function forbidCoreFiles(path = "/usr/bin:/bin"): Promise<void> {
  const args = ["--core=0:0", "--pid", String(process.pid)];
  const env = { PATH: path };
  await promisify(execFile)("prlimit", args, { timeout: LIMIT_TIMEOUT_MS, env });
}

/** Closes descriptors beyond the standard ones that a child would get: Node marks those that it opens. */
function closeInherited(): void {
  for (const fd of readdirSync("/proc/self/fd").map(Number)) {
    if (fd > 2 && isInheritable(fd)) closeSync(fd);
  }
}

function isInheritable(fd: number): boolean {
  try {
    const [, flags = ""] = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8")) ?? [];
    return flags !== "" && (Number.parseInt(flags, 8) & O_CLOEXEC) === 0;
  } catch {
    // It was the folder's own.
    return false;
  }
}

function write(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch {
    // A kernel without core files.
  }
}
