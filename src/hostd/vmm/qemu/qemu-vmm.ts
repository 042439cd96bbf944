import { describeError, logger } from "../../../lib/runtime/log.ts";
import { TimeLimit } from "../../../lib/runtime/wait.ts";
import { PhaseLog } from "../phase-log.ts";
import {
  LaunchError,
  type Shape,
  type StartPath,
  type Vm,
  type Vmm,
  type VmmInfo,
  type VmSink,
  type WarmDemand,
  type Workload,
} from "../vmm.ts";
import { type Acquired, bootCold } from "./cold-boot.ts";
import { type FastOptions, FastStartPaths, type LaunchRequest } from "./fast-start-paths.ts";
import { GuestVm } from "./guest-channel/guest-vm.ts";
import { asLaunchError } from "./guest-channel/start-failure.ts";
import { isAlive } from "./process/process-id.ts";
import type { Qmp } from "./process/qmp.ts";
import { endProcesses, listVms } from "./process/remove-vm.ts";
import { openMonitor } from "./process/spawn.ts";
import { runWorkload, settle } from "./run-workload.ts";

/** What the QEMU adapter works with. */
export interface QemuVmmOptions extends FastOptions {
  readonly info: VmmInfo;
  /** How long a launch may take until the workload runs. */
  readonly bootTimeoutMs: number;
  readonly maxBoots: number;
}

/** What a way may take before the next one is tried. */
const FAST_MS = 15_000;
const ADOPT_TIMEOUT_MS = 60_000;
const FINAL_REASONS: ReadonlySet<string> = new Set(["port_unavailable", "bad_port", "not_recorded"]);
const CANARY_SHAPE: Shape = { cpus: 1, memoryMb: 256 };

/**
 * VMs by QEMU, with KVM or in emulation. A launch is: acquire a guest that waits, give it the workload, wait until that is exec'ed.
 * Each VM is a QEMU process in a session of its own and a directory; whatever hostd forgets is found by either.
 */
export class QemuVmm implements Vmm {
  readonly info: VmmInfo;
  readonly maxBoots: number;
  private readonly options: QemuVmmOptions;
  private readonly fast: FastStartPaths;
  private readonly vms = new Map<string, GuestVm>();
  private readonly launches = new Map<string, Launch>();

  constructor(options: QemuVmmOptions) {
    this.info = options.info;
    this.maxBoots = options.maxBoots;
    this.options = options;
    this.fast = new FastStartPaths(options);
  }

  reserveWarm(vmId: string, shape: Shape): boolean {
    return this.fast.reserve(vmId, shape);
  }

  async launch(
    vmId: string,
    shape: Shape,
    workload: Workload,
    sink: VmSink,
    signal: AbortSignal,
    ready?: Promise<void>,
  ): Promise<Vm> {
    if (this.launches.has(vmId) || this.vms.has(vmId)) throw exists(vmId);
    const abort = new AbortController();
    const request = { vmId, shape, workload, sink, ready };
    const done = this.start(request, AbortSignal.any([signal, abort.signal]));
    this.launches.set(vmId, { abort, settled: Promise.allSettled([done]) });
    try {
      return await done;
    } finally {
      this.launches.delete(vmId);
    }
  }

  async adopt(vmId: string, sink: VmSink): Promise<Vm | undefined> {
    const { dirs, now } = this.options;
    const record = dirs.readRecord(vmId);
    if (record === undefined || !isAlive(record.qemu)) {
      await this.destroy(vmId);
      return undefined;
    }
    const signal = AbortSignal.timeout(ADOPT_TIMEOUT_MS);
    const qmp = await openMonitor(dirs.runDir(vmId), signal);
    if (!(await isGoingOn(qmp))) {
      // It waited, and was to be given to the machine when hostd was killed: nothing of the machine has run in it.
      qmp.close();
      await this.destroy(vmId);
      return undefined;
    }
    const vm = await GuestVm.connect(
      { id: vmId, startPath: record.startPath, dirs, qmp, sink, now, notBeforeUs: 0 },
      signal,
    );
    try {
      // A guest that was never told what to run, or could not run it, serves nobody.
      const { state } = vm.guest.state === "waiting" ? vm.guest : await vm.settled(signal);
      if (state === "running" || state === "exited") {
        vm.startedAtUs = vm.toHost(vm.guest.execAtUs);
        this.vms.set(vmId, vm);
        return vm;
      }
    } catch (err) {
      await vm.detach();
      throw err;
    }
    await vm.detach();
    await this.destroy(vmId);
    return undefined;
  }

  async destroy(vmId: string): Promise<void> {
    await this.fast.giveUp(vmId);
    const launch = this.launches.get(vmId);
    launch?.abort.abort(new LaunchError("vmm", "destroyed", "the VM was destroyed during its launch"));
    await launch?.settled;
    await endProcesses(this.options.dirs, vmId);
    const vm = this.vms.get(vmId);
    this.vms.delete(vmId);
    await vm?.abandon();
    await this.options.dirs.remove(vmId);
  }

  async list(): Promise<readonly string[]> {
    const { dirs } = this.options;
    for (const id of dirs.list()) dirs.trimStderr(id);
    return listVms(dirs);
  }

  warm(shape?: Shape): number {
    return this.fast.count(shape);
  }

  keepWarm(demand: WarmDemand): void {
    this.fast.open(demand);
  }

  async close(): Promise<void> {
    const launches = [...this.launches.values()];
    for (const { abort } of launches) abort.abort(new LaunchError("vmm", "closing", "hostd is closing"));
    await Promise.all(launches.map(({ settled }) => settled));
    await this.fast.close();
    await Promise.all([...this.vms.values()].map((vm) => vm.detach()));
    this.vms.clear();
  }

  /** Boots a guest without a machine, to see whether it says a word, and ends it. Rejects with LaunchError when it does not. */
  async tryBoot(vmId: string): Promise<void> {
    await this.destroy(vmId);
    const phases = new PhaseLog(this.options.now);
    using limit = bootLimit(this.options.bootTimeoutMs);
    try {
      const { vm } = await bootCold(
        this.options,
        vmId,
        CANARY_SHAPE,
        undefined,
        { onLog() {} },
        limit.signal,
        phases,
      );
      await vm.detach();
    } catch (err) {
      throw asLaunchError(err, this.options.dirs.readStderr(vmId));
    } finally {
      await this.destroy(vmId);
    }
  }

  /** Tries one way after the other, fastest first, until one works. Leaves nothing behind when none does. */
  private async start(request: LaunchRequest, signal: AbortSignal): Promise<GuestVm> {
    const phases = new PhaseLog(this.options.now);
    const { vmId, shape, workload } = request;
    const over = this.fast.begin(shape);
    try {
      if (await this.options.dirs.has(vmId)) throw exists(vmId);
      for (const startPath of this.options.startPaths) {
        const vm = await this.attempt(startPath, request, signal, phases);
        if (!vm) continue;
        this.vms.set(vmId, vm);
        over();
        await settle(vm, workload.watchMs, signal, phases);
        return vm;
      }
      throw new LaunchError(
        "vmm",
        "no_way",
        `no VM is ready, and only ${this.options.startPaths.join()} is allowed`,
      );
    } finally {
      over();
    }
  }

  /** Undefined when the way cannot be taken, or has not worked and another may. */
  private async attempt(
    startPath: StartPath,
    request: LaunchRequest,
    signal: AbortSignal,
    phases: PhaseLog,
  ): Promise<GuestVm | undefined> {
    const { shape, vmId } = request;
    const has = startPath === "cold" || this.fast.has(startPath, vmId, shape);
    if (startPath === "warm") this.options.metrics[has ? "hit" : "miss"](shape);
    if (!has) return undefined;
    const isLast = this.options.startPaths.at(-1) === startPath;
    const { bootTimeoutMs } = this.options;
    using limit = bootLimit(isLast ? bootTimeoutMs : Math.min(FAST_MS, bootTimeoutMs), signal);
    let vm: GuestVm | undefined;
    try {
      const acquired = await this.acquire(startPath, request, limit.signal, phases);
      if (!acquired) return undefined;
      vm = acquired.vm;
      await runWorkload(acquired, request, limit.signal, phases);
      return vm;
    } catch (err) {
      const { dirs } = this.options;
      const failure = asLaunchError(err, dirs.readStderr(vmId));
      await endProcesses(dirs, vmId);
      await vm?.detach();
      await dirs.remove(vmId);
      if (isLast || isFinal(failure) || signal.aborted) throw failure;
      logger.warn("a way to start a VM has failed, another is taken", {
        startPath,
        error: describeError(failure),
      });
      phases.mark(`vmm.${startPath}_failed`, { reason: failure.reason });
      return undefined;
    }
  }

  private acquire(
    startPath: StartPath,
    request: LaunchRequest,
    signal: AbortSignal,
    phases: PhaseLog,
  ): Promise<Acquired | undefined> {
    if (startPath === "warm") return this.fast.warm(request, phases);
    if (startPath === "template") return this.fast.template(request, signal, phases);
    const { vmId, shape, workload, sink } = request;
    return bootCold(this.options, vmId, shape, workload, sink, signal, phases);
  }
}

function exists(vmId: string): LaunchError {
  return new LaunchError("vmm", "exists", `VM ${vmId} exists`);
}

function bootLimit(ms: number, signal?: AbortSignal): TimeLimit {
  const message = `the guest did not report within ${ms} ms`;
  return new TimeLimit(ms, signal, () => new LaunchError("timeout", "boot_timeout", message));
}

/** Whether every other way would end the same: the failure is of the machine's own making, or of its record. */
function isFinal({ kind, reason }: LaunchError): boolean {
  return kind === "exec" || FINAL_REASONS.has(reason);
}

/** Whether the VM runs; one that waits stands still. */
async function isGoingOn(qmp: Qmp): Promise<boolean> {
  const status = await qmp.execute("query-status");
  return typeof status === "object" && status !== null && "running" in status && status.running === true;
}

interface Launch {
  readonly abort: AbortController;
  readonly settled: Promise<unknown>;
}
