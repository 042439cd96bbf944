import { execFile } from "node:child_process";
import { lstatSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { promisify } from "node:util";
import type { GuestAssets } from "./guest-assets.ts";

/** How a VM's QEMU is kept apart from the host, besides its own seccomp filter. */
export interface Confinement {
  /** Whether it sees only its own files, in a mount namespace. */
  readonly hasNamespace: boolean;
  /** Whether it runs under a uid of its own. */
  readonly hasUid: boolean;
  /** What could not be had, and why; "" when all is as it should be. */
  readonly shortfall: string;
  /** QEMU's version, as the probe saw it in there. */
  readonly qemuVersion: string;
}

/** What to run, and where QEMU will find its files. */
export interface ConfinedCommand {
  readonly program: string;
  readonly args: readonly string[];
  /** Whether the process started is only QEMU's parent, which says QEMU's pid when given `--info-fd`. */
  readonly tellsPid: boolean;
}

/** Files of one VM on the host. */
export interface VmPaths {
  readonly runDir: string;
  readonly assets: GuestAssets;
  readonly rootfs?: string;
  /** A file that is the guest's memory. */
  readonly memory?: string;
}

/** The same files as QEMU sees them. */
export interface SeenPaths {
  readonly kernel: string;
  readonly initramfs: string;
  readonly rootfs?: string;
  readonly memory?: string;
}

/** The program. */
export const QEMU = "qemu-system-x86_64";
const PROBE_TIMEOUT_MS = 10_000;
const execute = promisify(execFile);

const IN = { vm: "/vm", guest: "/guest", rootfs: "/rootfs", memory: "/memory" } as const;

/** Paths of `paths` as a QEMU confined so sees them. */
export function seenPaths(confinement: Confinement, { assets, rootfs, memory }: VmPaths): SeenPaths {
  if (!confinement.hasNamespace) {
    return {
      kernel: assets.kernel,
      initramfs: assets.initramfs,
      ...(rootfs === undefined ? {} : { rootfs }),
      ...(memory === undefined ? {} : { memory }),
    };
  }
  const below = (file: string): string => IN.guest + file.slice(dirname(assets.kernel).length);
  return {
    ...{ kernel: below(assets.kernel), initramfs: below(assets.initramfs) },
    ...(rootfs === undefined ? {} : { rootfs: IN.rootfs }),
    ...(memory === undefined ? {} : { memory: IN.memory }),
  };
}

/** Wraps QEMU's arguments so that it runs confined. `uid` is used when the confinement has one. */
export function confine(
  confinement: Confinement,
  paths: VmPaths,
  uid: number,
  qemuArgs: readonly string[],
): ConfinedCommand {
  const command = confinement.hasUid ? [...asUser(uid), QEMU, ...qemuArgs] : [QEMU, ...qemuArgs];
  if (confinement.hasNamespace) {
    return { program: "bwrap", args: [...namespace(paths), "--", ...command], tellsPid: true };
  }
  const [program = QEMU, ...args] = command;
  return { program, args, tellsPid: false };
}

/**
 * Finds the best confinement this host allows by running QEMU in it; `isUnwanted` settles for none. With `isRoot`, VMs run as `uid`.
 * Rejects when QEMU does not run at all.
 */
export async function probeConfinement(
  paths: VmPaths,
  isRoot: boolean,
  uid: number,
  isUnwanted: boolean,
): Promise<Confinement> {
  const none = { hasNamespace: false, hasUid: false };
  const wanted = [
    { hasNamespace: true, hasUid: isRoot },
    ...(isRoot ? [{ hasNamespace: false, hasUid: true }] : []),
    none,
  ];
  const complaints: string[] = isUnwanted ? ["switched off"] : [];
  for (const each of isUnwanted ? [none] : wanted) {
    const confinement = { ...each, shortfall: complaints.join("; "), qemuVersion: "" };
    try {
      return { ...confinement, qemuVersion: await qemuVersion(confinement, paths, uid) };
    } catch (err) {
      const detail = err instanceof Error ? (err.message.split("\n").at(1) ?? err.message) : String(err);
      complaints.push(
        `${each.hasNamespace ? "bubblewrap" : each.hasUid ? "uid of its own" : "QEMU"}: ${detail}`,
      );
    }
  }
  throw new Error(complaints.join("; "));
}

/** Runs QEMU just far enough to see that it starts and can reach its files. */
async function qemuVersion(confinement: Confinement, paths: VmPaths, uid: number): Promise<string> {
  const { program, args } = confine(confinement, paths, uid, ["--version"]);
  const { stdout } = await execute(program, args, {
    cwd: paths.runDir,
    timeout: PROBE_TIMEOUT_MS,
    env: ENVIRONMENT,
  });
  if (confinement.hasUid && !confinement.hasNamespace) {
    await execute(
      "setpriv",
      [...asUser(uid).slice(1), "test", "-r", paths.assets.kernel, "-a", "-w", paths.runDir],
      {
        timeout: PROBE_TIMEOUT_MS,
        env: ENVIRONMENT,
      },
    );
  }
  return /version (\S+)/.exec(stdout)?.[1] ?? "unknown";
}

/** QEMU gets nothing of hostd's own environment. */
export const ENVIRONMENT: Readonly<Record<string, string>> = { PATH: "/usr/bin:/bin:/usr/sbin", LC_ALL: "C" };

function asUser(uid: number): string[] {
  const groups = kvmGroup();
  return [
    ...["setpriv", `--reuid=${uid}`, `--regid=${uid}`],
    groups === undefined ? "--clear-groups" : `--groups=${groups}`,
    ...["--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"],
  ];
}

/** The group that may use /dev/kvm, where there is one. */
function kvmGroup(): number | undefined {
  const kvm = statSync("/dev/kvm", { throwIfNoEntry: false });
  return kvm && kvm.gid !== 0 && (kvm.mode & 0o060) === 0o060 ? kvm.gid : undefined;
}

function namespace({ runDir, assets, rootfs, memory }: VmPaths): string[] {
  return [
    ...["--ro-bind", "/usr", "/usr"],
    ...["/bin", "/sbin", "/lib", "/lib64"].flatMap(merged),
    // Made by bubblewrap on its way to a file in it, it would be closed to the VM's user.
    ...["--perms", "0755", "--dir", "/etc"],
    ...["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"],
    // The guest's resolver is the host's; the file is often a link.
    ...["--ro-bind-try", resolved("/etc/resolv.conf"), "/etc/resolv.conf"],
    ...["--dev", "/dev", "--dev-bind-try", "/dev/kvm", "/dev/kvm"],
    ...["--ro-bind", dirname(assets.kernel), IN.guest],
    ...(rootfs === undefined ? [] : ["--ro-bind", rootfs, IN.rootfs]),
    ...(memory === undefined ? [] : ["--bind", memory, IN.memory]),
    ...["--bind", runDir, IN.vm, "--chdir", IN.vm],
    ...["--unshare-ipc", "--unshare-uts"],
  ];
}

/** A folder of the host's root: a link into /usr on most systems, itself on older ones. */
function merged(path: string): string[] {
  const entry = lstatSync(path, { throwIfNoEntry: false });
  if (entry === undefined) return [];
  return entry.isSymbolicLink() ? ["--symlink", readlinkSync(path), path] : ["--ro-bind", path, path];
}

function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
