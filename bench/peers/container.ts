import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "../../scripts/fleet/binaries.ts";
import type { Progress } from "../../scripts/lib/progress.ts";
import { run } from "../../scripts/lib/run.ts";
import { installWithApt } from "../../scripts/setup/apt.ts";
import { PROGRAM_PATH } from "../lib/program.ts";
import { kill, untilFirstLine } from "./first-line.ts";

const DELETE_TIMEOUT_MS = 20_000;

/** Installs `crun` when it is missing and we may. Returns where it is, or why there is none. */
export async function findRuntime(
  progress: Progress,
  signal: AbortSignal,
): Promise<{ readonly path: string } | { readonly problem: string }> {
  const present = findProgram("crun");
  if (present !== undefined) return { path: present };
  if (process.getuid?.() !== 0) return { problem: "crun is not installed: sudo apt-get install crun" };
  try {
    await installWithApt(["crun"], progress, signal);
  } catch (cause) {
    signal.throwIfAborted();
    return { problem: `crun cannot be installed: ${cause instanceof Error ? cause.message : cause}` };
  }
  const path = findProgram("crun");
  return path === undefined ? { problem: "crun is installed and still not found" } : { path };
}

/** An image laid out as a container's bundle. */
export class Bundle {
  readonly #runtime: string;
  readonly #dir: string;
  #count = 0;

  private constructor(runtime: string, dir: string) {
    this.#runtime = runtime;
    this.#dir = dir;
  }

  /** Unpacks the root file system into `dir` and writes the runtime's configuration. */
  static async make(runtime: string, rootfs: string, dir: string, signal: AbortSignal): Promise<Bundle> {
    mkdirSync(dir);
    await run("unsquashfs", ["-quiet", "-no-progress", "-dest", join(dir, "rootfs"), rootfs], { signal });
    writeFileSync(join(dir, "config.json"), JSON.stringify(CONFIG, undefined, 2));
    return new Bundle(runtime, dir);
  }

  /** Starts a container; returns the milliseconds from spawning the runtime until the program's first line. It is gone afterwards. */
  async start(signal: AbortSignal): Promise<number> {
    const id = `windhover-bench-${process.pid}-${this.#count++}`;
    const command = [this.#runtime, "--root", join(this.#dir, "state")] as const;
    try {
      const spoken = await untilFirstLine([...command, "run", "--bundle", this.#dir, id], signal);
      await run(this.#runtime, [...command.slice(1), "delete", "--force", id]);
      await kill(spoken.child);
      return spoken.ms;
    } catch (cause) {
      // Whatever of it is there goes; usually nothing is.
      const limit = AbortSignal.timeout(DELETE_TIMEOUT_MS);
      await run(this.#runtime, [...command.slice(1), "delete", "--force", id], { signal: limit }).catch(
        () => {},
      );
      throw cause;
    }
  }
}

const mount = (destination: string, type: string, options: readonly string[]) => ({
  destination,
  type,
  source: type,
  options,
});

/** The least that makes it a container as any engine starts it: namespaces, a few mounts, no new privileges. */
const CONFIG = {
  ociVersion: "1.0.2",
  process: {
    terminal: false,
    user: { uid: 0, gid: 0 },
    args: [PROGRAM_PATH],
    env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    cwd: "/",
    noNewPrivileges: true,
  },
  root: { path: "rootfs", readonly: true },
  hostname: "bench",
  mounts: [
    mount("/proc", "proc", ["nosuid", "noexec", "nodev"]),
    mount("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
    mount("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
    mount("/dev/shm", "tmpfs", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
  ],
  linux: { namespaces: ["pid", "mount", "ipc", "uts", "network"].map((type) => ({ type })) },
};
