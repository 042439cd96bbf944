/**
 * What hostd needs of a virtual machine monitor. Adapters: `qemu` (KVM where it works, emulation elsewhere), `sim` (no VM:
 * scale and fault tests). The rest of hostd knows only this file.
 *
 * A VM serves one machine once: it is launched, runs one workload, and is destroyed. It outlives hostd: a hostd that comes
 * back finds it with `list` and takes it over with `adopt`.
 */

/** Size of a VM. */
export interface Shape {
  readonly cpus: number;
  readonly memoryMb: number;
}

/** A port of the guest, reachable from the host at `hostAddress:hostPort` while the VM runs. */
export interface PortForward {
  readonly protocol: "tcp" | "udp";
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly guestPort: number;
}

/** What the guest runs: image defaults and the request's overrides, already merged. */
export interface Workload {
  readonly machineId: string;
  /** Absolute path of the image's squashfs on this host. */
  readonly rootfs: string;
  /** Program and arguments; never empty. A program without a slash is looked up in the guest's PATH. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** `""` (root), `name`, `uid`, `name:group` or `uid:gid`, resolved against the image's own passwd and group files. */
  readonly user: string;
  /** Absolute; created when the image lacks it. */
  readonly workingDir: string;
  readonly hostname: string;
  readonly ports: readonly PortForward[];
  /** After exec, how long the process is watched before the launch is reported, so that one that dies at once is seen. */
  readonly watchMs: number;
}

/** How the guest came to run, fastest first. */
export type StartPath = "warm" | "template" | "cold";

/** One stretch of a launch, on the host's wall clock, for spans. Names such as `vmm.spawn`, `guest.boot`, `guest.mount`, `guest.exec`. */
export interface Phase {
  readonly name: string;
  readonly startUs: number;
  readonly endUs: number;
  readonly attributes?: Readonly<Record<string, string | number | boolean>>;
}

/** One line the workload wrote; `timeUs` is the guest's clock corrected to the host's. */
export interface LogLine {
  readonly timeUs: number;
  readonly stream: "stdout" | "stderr" | "system";
  readonly text: string;
  /**
   * Counts the VM's lines from 1, with gaps where lines were dropped. A hostd that is killed between storing a line and noting that
   * it has may hear that one line again after `adopt`, under the same number. Absent where that cannot happen.
   */
  readonly number?: number;
}

/** How a workload ended. */
export interface VmExit {
  /** `process`: the guest said so. `vm_lost`: the VM ended without a word (killed, crashed); code and signal are unknown. */
  readonly kind: "process" | "vm_lost";
  readonly exitCode?: number;
  /** Number of the signal that ended the process. */
  readonly signal?: number;
  readonly oomKilled: boolean;
  readonly exitedAtUs: number;
  /** For `vm_lost`: what is known. */
  readonly detail?: string;
}

/** Hears about a VM. `onLog` may be slow: the next line waits for it, and in the end the workload's write does. */
export interface VmSink {
  onLog(line: LogLine): Promise<void> | void;
}

/** A VM whose workload has been exec'ed (and may have ended since). */
export interface Vm {
  readonly id: string;
  readonly startPath: StartPath;
  readonly phases: readonly Phase[];
  /** When the workload's process was exec'ed. */
  readonly startedAtUs: number;
  /** Resolves once, never rejects. */
  readonly exited: Promise<VmExit>;
  /** Sends a signal to the workload's process. Does nothing once it has ended. */
  signal(signal: number): Promise<void>;
  /** Stops listening without touching the VM: hostd is closing, the VM goes on. */
  detach(): Promise<void>;
}

/** What a launch can fail with. `domain/` turns these into faults and events. */
export class LaunchError extends Error {
  override readonly name = "LaunchError";
  /** `exec`: the image's program could not be run (the machine's own fault). `vmm`: ours. `timeout`: no word in time. */
  readonly kind: "exec" | "vmm" | "timeout";
  /** For `exec`: `not_found`, `not_executable`, `bad_format`, `no_such_user`, `bad_working_dir`, or `other`. */
  readonly reason: string;
  constructor(kind: "exec" | "vmm" | "timeout", reason: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
    this.reason = reason;
  }
}

/** What a host says of itself. */
export interface VmmInfo {
  /** `qemu`, `sim`, `firecracker`. */
  readonly name: string;
  /** `kvm`, `emulation`, `none`. */
  readonly acceleration: string;
  readonly version: string;
  /** Whether tenants are kept apart by something its authors stand behind: `hardware`, or `development` (emulation, sim). */
  readonly isolation: "hardware" | "development";
  /** Why this adapter was chosen, e.g. "kvm: guest did not report within 3 s; emulation: guest reported after 2.8 s". */
  readonly reason: string;
}

/** What VMs are kept waiting for, and with what memory. Asked again and again; answers at once. */
export interface WarmDemand {
  /** Shapes of machines that could be started, once per machine. */
  shapes(): Iterable<Shape>;
  /** Says how many megabytes the waiting VMs are to have from now on. False: there is no room for so much, and nothing has changed. */
  lend(megabytes: number): boolean;
  /** Called, once, with whom to tell when less than what was lent is left. The VMs beyond that must go at once. */
  onReclaim(reclaim: (leftMb: number) => void): void;
}

/** Makes and finds VMs on this host. */
export interface Vmm {
  readonly info: VmmInfo;
  /** How many launches without a warm VM should run at once: more would only slow each other down. Absent: any number. */
  readonly maxBoots?: number;
  /**
   * Reserves a warm VM of this shape for the launch with this id; `destroy` gives it up. False: there is none. Absent: there never is.
   */
  reserveWarm?(vmId: string, shape: Shape): boolean;
  /**
   * Gets a VM of `shape`, runs `workload` in it and resolves when its process has been exec'ed. `vmId` is chosen by the caller,
   * who also finds, after a crash, what it had begun. Rejects with LaunchError and leaves nothing behind.
   *
   * @param ready resolves when what is to be run has been recorded: waited for before the guest is told to run it, beside all that
   *   comes before. When it rejects, so does the launch, with `not_recorded`: nothing has run, and no other way is tried. Default: it has been
   */
  launch(
    vmId: string,
    shape: Shape,
    workload: Workload,
    sink: VmSink,
    signal: AbortSignal,
    ready?: Promise<void>,
  ): Promise<Vm>;
  /**
   * Takes over a VM that an earlier hostd launched. Undefined when it is gone, or never got as far as exec (then it is
   * destroyed). A workload that ended meanwhile gives a Vm whose `exited` resolves with the true exit.
   */
  adopt(vmId: string, sink: VmSink): Promise<Vm | undefined>;
  /** Ends the VM at once and frees everything it holds: process, sockets, disks, ports, cgroup. Safe to repeat; unknown ids are fine. */
  destroy(vmId: string): Promise<void>;
  /** Every VM of which anything is left on this host, whoever knows of it. */
  list(): Promise<readonly string[]>;
  /** How many VMs wait, booted, for a workload, of this shape or of all: told in bids. Absent: none ever do. They are not in {@link list}. */
  warm?(shape?: Shape): number;
  /** From now on keeps VMs waiting for what `demand` says. Absent: this adapter never has any. */
  keepWarm?(demand: WarmDemand): void;
  /** Stops background work (pools, timers); running VMs go on. */
  close(): Promise<void>;
}
