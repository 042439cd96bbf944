import { once } from "node:events";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "../../tools/lib/programs.ts";
import type { Progress } from "../../tools/lib/progress.ts";
import { run } from "../../tools/lib/run.ts";
import { installWithApt } from "../../tools/setup/apt.ts";
import { PROGRAM_PATH } from "../lib/program.ts";
import { untilFirstLine } from "./first-line.ts";

const END_TIMEOUT_MS = 20_000;

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

/** Where a system with version 1 of cgroups has version 2 beside it. Debian's crun runs on either, but refuses both at once. */
const SECOND_HIERARCHY = "/sys/fs/cgroup/unified";

/** An image laid out as a container's bundle. */
export class Bundle {
  readonly #command: readonly [string, ...string[]];
  readonly #dir: string;
  #count = 0;

  private constructor(runtime: string, dir: string) {
    const command = [runtime, "--cgroup-manager", "cgroupfs", "--root", join(dir, "state")] as const;
    // In a mount namespace of its own it does not see the second; that costs it some two milliseconds.
    const hidden = `umount ${SECOND_HIERARCHY} && exec "$@"`;
    this.#command = Bundle.hidesHierarchy
      ? ["unshare", "--mount", "sh", "-c", hidden, "sh", ...command]
      : command;
    this.#dir = dir;
  }

  /** Whether one of this system's two cgroup hierarchies has to be kept from the runtime. */
  static get hidesHierarchy(): boolean {
    return existsSync(join(SECOND_HIERARCHY, "cgroup.controllers"));
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
    try {
      const spoken = await untilFirstLine([...this.#command, "run", "--bundle", this.#dir, id], signal);
      const ended = once(spoken.child, "exit", { signal: AbortSignal.timeout(END_TIMEOUT_MS) });
      ended.catch(() => {});
      // The program handles it; then the runtime tidies up by itself.
      await this.#call("kill", id, "TERM");
      await ended;
      return spoken.ms;
    } catch (cause) {
      // What there is of it goes; usually nothing is.
      await this.#call("delete", "--force", id).catch(() => {});
      throw cause;
    }
  }

  async #call(...args: readonly string[]): Promise<void> {
    const [program, ...before] = this.#command;
    const signal = AbortSignal.timeout(END_TIMEOUT_MS);
    await run(program, [...before, ...args], { signal, isDetached: true });
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
