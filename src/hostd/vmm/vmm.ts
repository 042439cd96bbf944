/**
 * The interface between hostd and a virtual machine monitor. Adapters: `qemu` (KVM where it works,
 * emulation elsewhere), `sim` (no VM, for tests of scale and faults).
 *
 * A VM serves one machine once: it is launched, runs one workload, and is destroyed. It outlives
 * hostd: the next hostd finds it with `list` and takes it over with `adopt`.
 */
import type { Duplex } from "node:stream";
import { abortable } from "../../lib/runtime/abort.ts";
import type { ExecRequest, ExecSession, GuestProcess } from "./exec.ts";
import type { OutputSession } from "./output.ts";

export interface Shape {
  readonly cpus: number;
  readonly memoryMb: number;
}

/** A port of the guest that is reachable at `hostAddress:hostPort` while the VM runs. */
export interface PortForward {
  readonly protocol: "tcp" | "udp";
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly guestPort: number;
}

/** What the guest runs: the image's defaults with the machine's configuration applied. */
export interface Workload {
  /** Absolute path of the image's squashfs on this host. */
  readonly rootfs: string;
  /** Program and arguments; never empty. A program without a slash is looked up in PATH. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** `""` (root), `name`, `uid`, `name:group` or `uid:gid`, by the image's own accounts. */
  readonly user: string;
  /** Absolute; created when the image lacks it. */
  readonly workingDir: string;
  /** Absolute paths of directories that are created when the image lacks them. */
  readonly volumes?: readonly string[];
  readonly hostname: string;
  readonly ports: readonly PortForward[];
  /** Written before the program is exec'ed, in this order. */
  readonly files?: readonly WorkloadFile[];
  /** Absent: the host resolves names. */
  readonly dns?: WorkloadDns;
  /** Gives the program a terminal; all that it writes is `stdout`. */
  readonly tty?: boolean;
}

/** A file of the guest. It belongs to the program's user. */
export interface WorkloadFile {
  /** Absolute. Replaces a file or a link; folders that are missing are made, and belong to root. */
  readonly path: string;
  readonly content: Buffer;
  /** Permissions, e.g. 0o644. */
  readonly mode: number;
}

/** The guest's /etc/resolv.conf. */
export interface WorkloadDns {
  /** Empty: the host. */
  readonly nameservers: readonly string[];
  readonly searches: readonly string[];
  /** Each `name` or `name:value`. */
  readonly options: readonly string[];
}

/** How the guest came to run, fastest first. */
export type StartPath = "resume" | "snapshot" | "warm" | "template" | "cold";

/** One phase of a launch, on the host's wall clock. Becomes a span such as `guest.boot`. */
export interface Phase {
  readonly name: string;
  readonly startUs: number;
  readonly endUs: number;
  readonly attributes?: Readonly<Record<string, string | number | boolean>>;
  /** Why what was tried in it has failed. */
  readonly reason?: string;
}

/** One line that the workload wrote; `timeUs` is the guest's clock corrected to the host's. */
export interface LogLine {
  readonly timeUs: number;
  readonly stream: "stdout" | "stderr" | "system";
  readonly text: string;
  /**
   * Counts the VM's lines from 1, with gaps where lines were dropped. After a crash of hostd,
   * `adopt` may deliver the last line again, with the same number. Absent where that cannot happen.
   */
  readonly number?: number;
}

export interface VmExit {
  /**
   * `process`: the guest reported it. `vm_lost`: the VM ended first; code and signal are unknown.
   */
  readonly kind: "process" | "vm_lost";
  readonly exitCode?: number;
  readonly signal?: number;
  readonly oomKilled: boolean;
  readonly exitedAtUs: number;
  /** For `vm_lost`: what is known. */
  readonly detail?: string;
}

/** Receives output. While `onLog` is pending no line follows; in the end, writes block. */
export interface VmSink {
  onLog(line: LogLine): Promise<void> | void;
  /**
   * Opens a session for output that is still encoded: an adapter then does not call `onLog`. Absent:
   * the adapter decodes it.
   *
   * @param cursorFile file for the number of the last line that is stored
   */
  openOutput?(cursorFile: string): OutputSession;
  /**
   * Takes a connection that a process of the guest has opened to the API inside the machine. Absent:
   * the adapter closes it.
   */
  readonly onConnection?: (connection: Duplex) => void;
}

/** A VM to launch. */
export interface LaunchRequest {
  /** Chosen by the caller, who finds the VM by it after a crash. */
  readonly vmId: string;
  readonly shape: Shape;
  readonly workload: Workload;
  readonly sink: VmSink;
  /**
   * Resolves when the start is stored: awaited before the guest runs anything. When it rejects, so
   * does the launch, with `not_stored`, and no other start path is tried. Absent: it is stored.
   */
  readonly stored?: Promise<void>;
  /** The saved VM that goes on in this one. When it cannot be used, the workload is run. */
  readonly resumeFrom?: ResumeFrom;
}

/** A saved VM that a launch goes on with. */
export interface ResumeFrom {
  readonly name: string;
  /** Whether it is kept, for later launches. Otherwise it is used up when the guest goes on. */
  readonly isKept: boolean;
}

/** A VM that was saved: memory, devices and disk. */
export interface SavedVm {
  /** Chosen by the caller. */
  readonly name: string;
  /** What it takes of the disk, beside what the machine has for its own. */
  readonly bytes: number;
}

/** How a VM is saved. */
export interface SaveOptions {
  /** Of the saved VM. A save of the same name replaces it. */
  readonly name: string;
  /** Whether the VM goes on afterwards. Otherwise it stands still until it is destroyed. */
  readonly goesOn: boolean;
  /** Most that it may take of the disk. What would take more is not saved. */
  readonly maxBytes: number;
  /** As it was launched. */
  readonly shape: Shape;
  readonly rootfs: string;
}

/** A VM whose workload has been exec'ed (and may have ended since). */
export interface Vm {
  readonly id: string;
  readonly startPath: StartPath;
  /** Why the saved VM of the launch was not used. */
  readonly resumeFailure?: string | undefined;
  readonly phases: readonly Phase[];
  /** Why no faster start path was taken, e.g. `pool_empty`. Absent: there is none. */
  readonly notFaster?: string | undefined;
  /** When the workload's process was exec'ed. */
  readonly startedAtUs: number;
  /** Resolves once, never rejects. */
  readonly exited: Promise<VmExit>;
  /** Sends a signal to the workload's process. Does nothing once it has ended. */
  signal(signal: number): Promise<void>;
  /**
   * Runs a command beside the workload, in its namespaces, root and cgroup. Resolves when the command
   * is exec'ed. Rejects with ExecError, or with the reason of `signal`; the command is killed then.
   */
  exec(request: ExecRequest, signal: AbortSignal): Promise<ExecSession>;
  /** Lists the processes of the guest, by id. Rejects with ExecError. */
  processes(signal: AbortSignal): Promise<readonly GuestProcess[]>;
  /**
   * Calls `onChange` with the states of all these TCP ports, soon and after each change, until the workload ends or `detach`. Call it
   * once, with at most 64 ports. False: this VM, of an earlier hostd, cannot tell.
   */
  watchPorts(ports: readonly number[], onChange: (ports: readonly ListeningPort[]) => void): boolean;
  /** Disconnects from the VM, which goes on: hostd is closing. */
  detach(): Promise<void>;
}

/** Whether the workload listens on a TCP port. */
export interface ListeningPort {
  readonly port: number;
  /** `local`: only on addresses that the host does not reach, such as 127.0.0.1. */
  readonly state: "closed" | "local" | "open";
}

export class LaunchError extends Error {
  override readonly name = "LaunchError";
  /**
   * `exec`: the image's program cannot be run. `vmm`: our fault. `timeout`: too slow, or aborted.
   */
  readonly kind: "exec" | "vmm" | "timeout";
  /**
   * `not_found`, `not_executable`, `bad_format`, `no_such_user`, `bad_working_dir`, `bad_volume`,
   * `bad_etc`, `bad_request`, `other`, ...
   */
  readonly reason: string;
  /** Up to the failure. */
  phases: readonly Phase[] = [];
  constructor(kind: "exec" | "vmm" | "timeout", reason: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
    this.reason = reason;
  }
}

export interface VmmInfo {
  /** `qemu`, `sim`, `firecracker`. */
  readonly name: string;
  /** `kvm`, `emulation`, `none`. */
  readonly acceleration: string;
  readonly version: string;
  /** `hardware`, or `development`: emulation and sim separate nobody. */
  readonly isolation: "hardware" | "development";
  /** Why this adapter was chosen, e.g. "emulation: guest reported after 2800 ms". */
  readonly reason: string;
}

/** The shapes of warm VMs that the host wants, and the memory that they may use. */
export interface WarmDemand {
  /** Shapes of machines that could be started, once per machine. */
  shapes(): Iterable<Shape>;
  /** Sets the reclaimable memory. False: there is no room for that much; nothing changes. */
  setReclaimable(megabytes: number): boolean;
  /**
   * Sets the function that is called when the host takes memory back: warm VMs beyond `leftMb` must go at once.
   */
  onReclaim(reclaim: (leftMb: number) => void): void;
}

/** Makes and finds VMs on this host. */
export interface Vmm {
  readonly info: VmmInfo;
  /** How many launches without a warm VM should run at once. Absent: any number. */
  readonly maxBoots?: number;
  /**
   * Reserves a warm VM for the launch of this id, until `destroy`. False or absent: there is none.
   */
  reserveWarm?(vmId: string, shape: Shape): boolean;
  /** Runs a workload in a VM, up to exec. Rejects with LaunchError and leaves nothing behind. */
  launch(request: LaunchRequest, signal: AbortSignal): Promise<Vm>;
  /**
   * Takes over a VM that an earlier hostd launched. When its workload has ended meanwhile, `exited`
   * resolves with the true exit. Undefined when the VM is gone, or did not get as far as exec (then
   * it is destroyed).
   */
  adopt(vmId: string, sink: VmSink): Promise<Vm | undefined>;
  /**
   * Saves a VM that was launched or adopted. Resolves when it is on disk, whole, and never goes on
   * here then, unless `goesOn` is set. Rejects, also by `signal`, when it is not saved: its workload
   * goes on, or has ended. A crash leaves one or the other. Absent: this adapter saves no VMs.
   */
  save?(vmId: string, options: SaveOptions, signal: AbortSignal): Promise<SavedVm>;
  /** Lists the saved VMs. */
  saved?(): Promise<readonly SavedVm[]>;
  /** Whether there is a saved VM of a name. */
  hasSaved?(name: string): boolean;
  /** Removes a saved VM. Safe to repeat; unknown names are fine. */
  dropSaved?(name: string): Promise<void>;
  /** Ends the VM at once and frees all that it has. Safe to repeat; unknown ids are fine. */
  destroy(vmId: string): Promise<void>;
  /** Lists every VM that has a process or files on this host, warm VMs excepted. */
  list(): Promise<readonly string[]>;
  /** Counts the warm VMs, of this shape or all. Absent: there never are any. */
  warm?(shape?: Shape): number;
  /** Begins to keep warm VMs for `demand`. Absent: this adapter never has any. */
  keepWarm?(demand: WarmDemand): void;
  /** Stops background work (pools, timers); running VMs go on. */
  close(): Promise<void>;
}

/** Waits until a start is stored. Rejects with `not_stored`, or with the reason of `signal`. */
export async function untilStored(stored: Promise<void> | undefined, signal: AbortSignal): Promise<void> {
  if (!stored) return;
  const checked = stored.catch((err: unknown) => {
    throw new LaunchError("vmm", "not_stored", "the start could not be stored", err);
  });
  await abortable(checked, signal);
}
