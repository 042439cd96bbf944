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

/** Finds or installs `crun`. Returns its path, or why there is none. */
export async function findRuntime(
  progress: Progress,
  signal: AbortSignal,
): Promise<{ readonly path: string } | { readonly problem: string }> {
  if (findProgram("crun") === undefined) {
    if (process.getuid?.() !== 0) return { problem: "crun is not installed: sudo apt-get install crun" };
    try {
      await installWithApt(["crun"], progress, signal);
    } catch (cause) {
      signal.throwIfAborted();
      return { problem: `crun cannot be installed: ${cause instanceof Error ? cause.message : cause}` };
    }
  }
  const path = findProgram("crun");
  return path === undefined ? { problem: "crun is installed and still not found" } : { path };
}

/** Version 2 of cgroups beside version 1. Debian's crun runs with either, and refuses both. */
const SECOND_HIERARCHY = "/sys/fs/cgroup/unified";

/** An image as a container's bundle. */
export class Bundle {
  readonly #command: readonly string[];
  readonly #dir: string;
  #count = 0;

  private constructor(runtime: string, dir: string) {
    const command = [runtime, "--cgroup-manager", "cgroupfs", "--root", join(dir, "state")];
    // Hides the second hierarchy in a mount namespace, which costs some two milliseconds.
    const hide = ["unshare", "--mount", "sh", "-c", `umount ${SECOND_HIERARCHY} && exec "$@"`, "sh"];
    this.#command = Bundle.hidesHierarchy ? [...hide, ...command] : command;
    this.#dir = dir;
  }

  /** Whether the runtime must not see one of this system's two cgroup hierarchies. */
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

  /** Runs a container. Returns the milliseconds to the program's first line. */
  async start(signal: AbortSignal): Promise<number> {
    const id = `windhover-bench-${process.pid}-${this.#count++}`;
    try {
      const { child, ms } = await untilFirstLine(
        [...this.#command, "run", "--bundle", this.#dir, id],
        signal,
      );
      const ended = once(child, "exit", { signal: AbortSignal.timeout(END_TIMEOUT_MS) });
      ended.catch(() => {});
      // The program handles it, and then the runtime removes the container.
      await this.#call("kill", id, "TERM");
      await ended;
      return ms;
    } catch (cause) {
      await this.#call("delete", "--force", id).catch(() => {});
      throw cause;
    }
  }

  async #call(...args: readonly string[]): Promise<void> {
    const [program = "", ...before] = this.#command;
    const signal = AbortSignal.timeout(END_TIMEOUT_MS);
    await run(program, [...before, ...args], { signal, isDetached: true });
  }
}

function mount(destination: string, type: string, options: readonly string[]) {
  return { destination, type, source: type, options };
}

/** The least that container engines set up: namespaces, a few mounts, no new privileges. */
const CONFIG = {
  ociVersion: "1.0.2",
  process: {
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
