import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, cpSync, openSync, readdirSync, rmSync, statSync, symlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";

/** A disk that is soon full, in place of a folder. */
export interface SmallDisk {
  /** What programs are started by to have it there; for everybody else there are links in the folder. */
  readonly command: readonly string[];
  /** Takes all the room there is. The answer gives it back. */
  fill(): () => void;
  /** The disk goes with the last of these programs. */
  close(): Promise<void>;
}

/** Who may mount: whoever is root in a namespace of users, wherever those are allowed; otherwise root itself. */
const NAMESPACES = [
  { make: ["--user", "--map-root-user", "--mount"], enter: ["--user", "--preserve-credentials", "--mount"] },
  { make: ["--mount"], enter: ["--mount"] },
] as const;
const READY = "ready\n";
const READY_MS = 30_000;

/** Puts what is in a folder onto a disk of so many megabytes. Answers why, when this machine lets nobody have one. */
export async function openSmallDisk(folder: string, megabytes: number): Promise<SmallDisk | string> {
  const { mode } = statSync(folder);
  const options = `size=${megabytes}m,mode=${(mode & 0o777).toString(8)}`;
  const reasons: string[] = [];
  for (const { make, enter } of NAMESPACES) {
    // It ends when its input does: with us, at the latest.
    const script = 'mount -t tmpfs -o "$1" tmpfs "$0" && echo ready && exec cat';
    const holder = spawn("unshare", [...make, "--", "sh", "-c", script, folder, options]);
    const said = await firstWord(holder);
    if (said === READY) return diskOf(holder, enter, folder);
    reasons.push(`unshare ${make.join(" ")}: ${said.trim()}`);
  }
  return reasons.join("; ");
}

/** What it says first: that it is ready, or why it is not. */
async function firstWord(holder: ChildProcessWithoutNullStreams): Promise<string> {
  const signal = AbortSignal.timeout(READY_MS);
  const complaint = text(holder.stderr);
  const [word] = await Promise.race([
    once(holder.stdout, "data", { signal }),
    once(holder, "exit", { signal }).then(async () => [await complaint]),
    once(holder, "error", { signal }),
  ]);
  return String(word);
}

function diskOf(
  holder: ChildProcessWithoutNullStreams,
  namespaces: readonly string[],
  folder: string,
): SmallDisk {
  // Through here everybody sees what its processes see.
  const path = `/proc/${holder.pid}/root${folder}`;
  cpSync(folder, path, { recursive: true });
  for (const name of readdirSync(folder)) {
    rmSync(join(folder, name), { recursive: true });
    symlinkSync(join(path, name), join(folder, name));
  }
  return {
    command: ["nsenter", `--target=${holder.pid}`, ...namespaces, "--wd", "--"],
    fill() {
      const filler = join(path, "filler");
      fill(filler);
      return () => rmSync(filler);
    },
    async close() {
      const exit = once(holder, "exit", { signal: AbortSignal.timeout(READY_MS) });
      holder.stdin.end();
      await exit;
    },
  };
}

function fill(path: string): void {
  const chunk = Buffer.alloc(64 * 1_024);
  const file = openSync(path, "w");
  try {
    for (let size = chunk.length; size > 0; ) {
      try {
        writeSync(file, chunk, 0, size);
      } catch (err) {
        if (!(err instanceof Error && "code" in err && err.code === "ENOSPC")) throw err;
        size = Math.floor(size / 2);
      }
    }
  } finally {
    closeSync(file);
  }
}
