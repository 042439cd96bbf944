import { execFile } from "node:child_process";
import { linkSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { showPrograms } from "../../../../lib/confinement/programs.ts";
import type { GuestAssets } from "./guest-assets.ts";

/** How a VM's QEMU is kept apart from the host, besides its own seccomp filter. See ADR 6. */
export interface Confinement {
  /** Whether it sees only its own files, in a mount namespace. */
  readonly hasNamespace: boolean;
  /** Whether it runs under a uid of its own. */
  readonly hasUid: boolean;
  /** What does not work on this host, and why; "" when all does. */
  readonly shortfall: string;
  readonly qemuVersion: string;
}

export interface ConfinedCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Whether the process is QEMU's parent, which writes QEMU's pid to `--info-fd`. */
  readonly reportsPid: boolean;
}

export interface VmPaths {
  readonly runDir: string;
  readonly assets: GuestAssets;
  readonly rootfs?: string | undefined;
  readonly memory?: string | undefined;
}

export interface VisiblePaths {
  readonly kernel: string;
  readonly initramfs: string;
  readonly rootfs: string | undefined;
  readonly memory: string | undefined;
}

export const QEMU = "qemu-system-x86_64";
/** QEMU gets nothing of hostd's own environment. */
const ENVIRONMENT: Readonly<Record<string, string>> = { PATH: "/usr/bin:/bin:/usr/sbin", LC_ALL: "C" };
const PRELOAD = "LD_PRELOAD";
const PROBE_TIMEOUT_MS = 10_000;
/** Names in a VM's folder. Those of VM_FILES are taken. */
const LINKS = { rootfs: "root.link", memory: "memory.link" } as const;
const INSIDE = { vm: "/vm", guest: "/guest", rootfs: "/rootfs", memory: "/memory" } as const;

const execute = promisify(execFile);

/** Returns the paths at which a confined QEMU finds its files. */
export function visiblePaths(confinement: Confinement, { assets, rootfs, memory }: VmPaths): VisiblePaths {
  const { kernel, initramfs } = assets;
  if (!confinement.hasNamespace) return { kernel, initramfs, rootfs, memory };
  return {
    ...{ kernel: insideOf(kernel, assets), initramfs: insideOf(initramfs, assets) },
    rootfs: rootfs === undefined ? undefined : INSIDE.rootfs,
    memory: memory === undefined ? undefined : INSIDE.memory,
  };
}

/**
 * Links files into the folder of a VM that has a uid and no namespace: its user cannot enter the folders where they are. Returns the
 * paths that QEMU uses, from its working folder on.
 */
export function linkPaths({ hasNamespace, hasUid }: Confinement, paths: VmPaths): VmPaths {
  if (hasNamespace || !hasUid) return paths;
  const link = (file: string | undefined, name: string) =>
    file === undefined ? undefined : linkOrKeep(file, paths.runDir, name);
  return {
    ...paths,
    rootfs: link(paths.rootfs, LINKS.rootfs),
    memory: link(paths.memory, LINKS.memory),
  };
}

/** Makes the command that runs QEMU confined. `uid` is used when the confinement has one. */
export function confine(
  confinement: Confinement,
  paths: VmPaths,
  uid: number,
  qemuArgs: readonly string[],
): ConfinedCommand {
  const command = confinement.hasUid ? [...asUser(uid), QEMU, ...qemuArgs] : [QEMU, ...qemuArgs];
  if (confinement.hasNamespace) {
    const preloaded = ["--setenv", PRELOAD, insideOf(paths.assets.backlog, paths.assets)];
    const args = [...namespace(paths), ...preloaded, "--", ...command];
    return { program: "bwrap", args, environment: ENVIRONMENT, reportsPid: true };
  }
  const [program = QEMU, ...args] = command;
  const environment = { ...ENVIRONMENT, [PRELOAD]: paths.assets.backlog };
  return { program, args, environment, reportsPid: false };
}

/** Returns the path in the namespace of a file that lies where the kernel is. */
function insideOf(file: string, { kernel }: GuestAssets): string {
  return INSIDE.guest + file.slice(dirname(kernel).length);
}

/**
 * Finds the best confinement in which QEMU runs on this host.
 *
 * @param isRoot whether VMs can run as `uid`
 * @param isDisabled tries none
 * @throws when QEMU does not run at all
 */
export async function probeConfinement(
  paths: VmPaths,
  isRoot: boolean,
  uid: number,
  isDisabled: boolean,
): Promise<Confinement> {
  const none = { hasNamespace: false, hasUid: false };
  const all = [
    { hasNamespace: true, hasUid: isRoot },
    ...(isRoot ? [{ hasNamespace: false, hasUid: true }] : []),
    none,
  ];
  const problems: string[] = isDisabled ? ["switched off"] : [];
  for (const each of isDisabled ? [none] : all) {
    const confinement = { ...each, shortfall: problems.join("; "), qemuVersion: "" };
    try {
      return { ...confinement, qemuVersion: await qemuVersion(confinement, paths, uid) };
    } catch (err) {
      const name = each.hasNamespace ? "bubblewrap" : each.hasUid ? "uid of its own" : "QEMU";
      const detail = err instanceof Error ? (err.message.split("\n").at(1) ?? err.message) : String(err);
      problems.push(`${name}: ${detail}`);
    }
  }
  throw new Error(problems.join("; "));
}

/** Runs QEMU just far enough to see that it starts and can access its files. */
async function qemuVersion(confinement: Confinement, paths: VmPaths, uid: number): Promise<string> {
  const { program, args, environment } = confine(confinement, paths, uid, ["--version"]);
  const options = { timeout: PROBE_TIMEOUT_MS, env: environment };
  const { stdout } = await execute(program, args, { ...options, cwd: paths.runDir });
  if (confinement.hasUid && !confinement.hasNamespace) {
    // The working folder: its user cannot enter the folders above it.
    const isReadable = ["test", "-r", paths.assets.kernel, "-a", "-w", "."];
    await execute("setpriv", [...asUser(uid).slice(1), ...isReadable], { ...options, cwd: paths.runDir });
  }
  return /version (\S+)/.exec(stdout)?.[1] ?? "unknown";
}

/** Returns the name of a hard link; the path itself when the file is on another file system. */
function linkOrKeep(file: string, folder: string, name: string): string {
  try {
    linkSync(file, join(folder, name));
    return name;
  } catch (err) {
    if (err instanceof Error && "code" in err && err.code === "EXDEV") return file;
    throw err;
  }
}

function asUser(uid: number): string[] {
  const group = kvmGroup();
  return [
    ...["setpriv", `--reuid=${uid}`, `--regid=${uid}`],
    group === undefined ? "--clear-groups" : `--groups=${group}`,
    ...["--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"],
  ];
}

function kvmGroup(): number | undefined {
  const kvm = statSync("/dev/kvm", { throwIfNoEntry: false });
  return kvm && kvm.gid !== 0 && (kvm.mode & 0o060) === 0o060 ? kvm.gid : undefined;
}

function namespace({ runDir, assets, rootfs, memory }: VmPaths): string[] {
  return [
    ...showPrograms(),
    // QEMU's network forwards to the host's resolver. The file is often a link.
    ...["--ro-bind-try", resolved("/etc/resolv.conf"), "/etc/resolv.conf"],
    ...["--dev", "/dev", "--dev-bind-try", "/dev/kvm", "/dev/kvm"],
    ...["--ro-bind", dirname(assets.kernel), INSIDE.guest],
    ...(rootfs === undefined ? [] : ["--ro-bind", rootfs, INSIDE.rootfs]),
    ...(memory === undefined ? [] : ["--bind", memory, INSIDE.memory]),
    ...["--bind", runDir, INSIDE.vm, "--chdir", INSIDE.vm],
    ...["--unshare-ipc", "--unshare-uts"],
  ];
}

function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
