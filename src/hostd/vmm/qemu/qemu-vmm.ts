import { existsSync } from "node:fs";
import { describeError, logger } from "../../../lib/runtime/log.ts";
import { TimeLimit } from "../../../lib/runtime/wait.ts";
import { PhaseLog } from "../phase-log.ts";
import {
  LaunchError,
  type LaunchRequest,
  type SavedVm,
  type SaveOptions,
  type Shape,
  type StartPath,
  type Vm,
  type Vmm,
  type VmmInfo,
  type VmSink,
  type WarmDemand,
} from "../vmm.ts";
import { GuestVm } from "./guest-channel/guest-vm.ts";
import { asLaunchError } from "./guest-protocol/start-failure.ts";
import type { Qmp } from "./monitor/qmp.ts";
import { saveState } from "./monitor/save-state.ts";
import { readTscMhz } from "./monitor/tsc-frequency.ts";
import { isAlive } from "./process/process-id.ts";
import { endProcesses, listVms, removeVm } from "./process/remove-vm.ts";
import { openMonitor } from "./process/spawn.ts";
import { runWorkload } from "./run-workload.ts";
import { resumeVm } from "./saved/resume-vm.ts";
import { saveVm } from "./saved/save-vm.ts";
import { SavedVms } from "./saved/saved-vms.ts";
import { acquireVm, bootCold } from "./start-paths.ts";
import { WarmVms, type WarmVmsOptions } from "./warm-pool/warm-vms.ts";

export interface QemuVmmOptions extends WarmVmsOptions {
  readonly info: VmmInfo;
  readonly bootTimeoutMs: number;
  readonly maxBoots: number;
}

/** How long one start path may take before the next one is tried. */
const START_PATH_TIMEOUT_MS = 15_000;
const ADOPT_TIMEOUT_MS = 60_000;
/** With these, every start path would fail. */
const FINAL_REASONS: ReadonlySet<string> = new Set(["port_unavailable", "bad_port", "not_stored"]);
const CANARY_SHAPE: Shape = { cpus: 1, memoryMb: 256 };

/**
 * Runs VMs by QEMU, with KVM or in emulation. A launch acquires a guest that waits, and makes it
 * run the workload. Each VM is a folder and a QEMU process in a session of its own; either is
 * enough to find it again.
 */
export class QemuVmm implements Vmm {
  readonly info: VmmInfo;
  readonly maxBoots: number;
  readonly #options: QemuVmmOptions;
  readonly #warmVms: WarmVms;
  readonly #vms = new Map<string, GuestVm>();
  readonly #launches = new Map<string, Launch>();
  readonly #saved: SavedVms;
  readonly #closing = new AbortController();

  constructor(options: QemuVmmOptions) {
    this.info = options.info;
    this.maxBoots = options.maxBoots;
    this.#options = options;
    this.#warmVms = new WarmVms(options);
    this.#saved = new SavedVms(options.dir);
  }

  reserveWarm(vmId: string, shape: Shape): boolean {
    return this.#warmVms.reserve(vmId, shape);
  }

  async launch(request: LaunchRequest, signal: AbortSignal): Promise<Vm> {
    const { vmId } = request;
    if (this.#launches.has(vmId) || this.#vms.has(vmId)) throw exists(vmId);
    const abort = new AbortController();
    const launched = this.#launch(request, AbortSignal.any([signal, abort.signal]));
    this.#launches.set(vmId, { abort, ended: Promise.allSettled([launched]) });
    try {
      return await launched;
    } finally {
      this.#launches.delete(vmId);
    }
  }

  async adopt(vmId: string, sink: VmSink): Promise<Vm | undefined> {
    const { dirs } = this.#options;
    const record = dirs.readRecord(vmId);
    // A VM that is saved under its own id does not go on here.
    const isAdoptable = record && isAlive(record.qemu) && !this.#saved.has(vmId);
    const vm = isAdoptable ? await this.#adopt(vmId, record.startPath, sink) : undefined;
    if (vm) this.#vms.set(vmId, vm);
    else await this.destroy(vmId);
    return vm;
  }

  async save(vmId: string, options: SaveOptions, signal: AbortSignal): Promise<SavedVm> {
    const vm = this.#vms.get(vmId);
    if (!vm) throw new Error(`VM ${vmId} cannot be saved`);
    try {
      const saved = await saveVm(this.#options, this.#saved, vm, options, signal);
      if (options.goesOn) await this.#goOn(vm);
      return saved;
    } catch (err) {
      if (!options.goesOn && this.#saved.has(options.name)) await this.#saved.drop(options.name);
      await this.#saved.dropDraft(options.name);
      await this.#goOn(vm);
      throw err;
    }
  }

  async saved(): Promise<readonly SavedVm[]> {
    return this.#saved.list();
  }

  hasSaved(name: string): boolean {
    return this.#saved.has(name);
  }

  async dropSaved(name: string): Promise<void> {
    await this.#saved.drop(name);
  }

  /** Lets a VM go on that was saved, or was to be. Ends one that does not, so that its end is noticed. */
  async #goOn(vm: GuestVm): Promise<void> {
    const { dirs } = this.#options;
    try {
      await vm.qmp.execute("cont");
      await vm.thaw({ hostname: "", isOther: false }, AbortSignal.timeout(ADOPT_TIMEOUT_MS));
      dirs.endSaving(vm.id);
    } catch (err) {
      // The next hostd lets it go on.
      if (vm.isDetached) throw err;
      logger.error("a VM did not go on after a save", { vmId: vm.id, error: describeError(err) });
      await endProcesses(dirs, vm.id);
      throw err;
    }
  }

  async destroy(vmId: string): Promise<void> {
    await this.#warmVms.release(vmId);
    const launch = this.#launches.get(vmId);
    launch?.abort.abort(new LaunchError("vmm", "destroyed", "the VM was destroyed during its launch"));
    await launch?.ended;
    await endProcesses(this.#options.dirs, vmId);
    const vm = this.#vms.get(vmId);
    this.#vms.delete(vmId);
    await vm?.abandon();
    await this.#options.dirs.remove(vmId);
  }

  async list(): Promise<readonly string[]> {
    const { dirs } = this.#options;
    for (const id of dirs.list()) dirs.trimStderr(id);
    return listVms(dirs);
  }

  warm(shape?: Shape): number {
    return this.#warmVms.count(shape);
  }

  keepWarm(demand: WarmDemand): void {
    this.#warmVms.open(demand);
  }

  async close(): Promise<void> {
    const launches = [...this.#launches.values()];
    const reason = new LaunchError("vmm", "closing", "hostd is closing");
    for (const { abort } of [...launches, { abort: this.#closing }]) abort.abort(reason);
    await Promise.all(launches.map(({ ended }) => ended));
    await this.#warmVms.close();
    await Promise.all([...this.#vms.values()].map((vm) => vm.detach()));
    this.#vms.clear();
  }

  /** Boots a guest and ends it. Rejects with LaunchError when it does not report. */
  async tryBoot(vmId: string): Promise<TrialBoot> {
    const { dirs, bootTimeoutMs, acceleration } = this.#options;
    await removeVm(dirs, vmId);
    using limit = bootLimit(bootTimeoutMs);
    const request = { vmId, shape: CANARY_SHAPE, sink: { onLog() {} } };
    const start = performance.now();
    try {
      const vm = await bootCold(this.#options, request, limit.signal, new PhaseLog());
      const bootMs = Math.round(performance.now() - start);
      try {
        if (acceleration === "kvm") return { bootMs, tscMhz: undefined };
        await vm.qmp.execute("stop");
        return { bootMs, tscMhz: await saveState(dirs.runDir(vmId), vm.qmp, limit.signal, readTscMhz) };
      } finally {
        await vm.detach();
      }
    } catch (err) {
      throw asLaunchError(err, dirs.readStderr(vmId));
    } finally {
      await removeVm(dirs, vmId);
    }
  }

  /** Tries the start paths until one works. Leaves nothing behind when none does. */
  async #launch(request: LaunchRequest, signal: AbortSignal): Promise<GuestVm> {
    const { startPaths, dirs } = this.#options;
    const { vmId, shape } = request;
    const phases = new PhaseLog();
    const ended = this.#warmVms.startBegins(shape);
    try {
      if (await dirs.has(vmId)) throw exists(vmId);
      const resumed = await this.#tryResume(request, signal, phases);
      if (resumed instanceof GuestVm) return resumed;
      for (const startPath of startPaths) {
        const vm = await this.#tryPath(startPath, request, signal, phases);
        if (!vm) continue;
        vm.resumeFailure = resumed;
        this.#vms.set(vmId, vm);
        return vm;
      }
      const message = `no VM is ready, and only start paths ${startPaths.join()} are allowed`;
      throw new LaunchError("vmm", "no_start_path", message);
    } finally {
      ended();
    }
  }

  /** Goes on with the saved VM of a request. Returns why it could not; undefined: there is none. */
  async #tryResume(
    request: LaunchRequest,
    signal: AbortSignal,
    phases: PhaseLog,
  ): Promise<GuestVm | string | undefined> {
    const { vmId, resumeFrom } = request;
    const { bootTimeoutMs, dirs } = this.#options;
    if (!resumeFrom) return undefined;
    using limit = bootLimit(Math.min(START_PATH_TIMEOUT_MS, bootTimeoutMs), signal);
    try {
      const vm = await resumeVm(this.#options, this.#saved, request, resumeFrom, limit.signal, phases);
      this.#vms.set(vmId, vm);
      return vm;
    } catch (err) {
      const failure = asLaunchError(err, dirs.readStderr(vmId));
      await this.#discard(vmId, undefined);
      if (signal.aborted || FINAL_REASONS.has(failure.reason)) throw failure;
      logger.warn("a saved VM could not go on", { name: resumeFrom.name, error: describeError(failure) });
      phases.mark("vmm.resume_failed", { reason: failure.reason });
      return failure.message;
    }
  }

  /** Undefined when the path is not available, or has failed and another may work. */
  async #tryPath(
    startPath: StartPath,
    request: LaunchRequest,
    signal: AbortSignal,
    phases: PhaseLog,
  ): Promise<GuestVm | undefined> {
    if (!this.#isAvailable(startPath, request)) return undefined;
    const { startPaths, bootTimeoutMs, dirs } = this.#options;
    const { vmId } = request;
    const isLast = startPaths.at(-1) === startPath;
    using limit = bootLimit(isLast ? bootTimeoutMs : Math.min(START_PATH_TIMEOUT_MS, bootTimeoutMs), signal);
    let vm: GuestVm | undefined;
    try {
      vm = await acquireVm(startPath, this.#options, this.#warmVms, request, limit.signal, phases);
      if (vm) await runWorkload(vm, request, limit.signal, phases);
      return vm;
    } catch (err) {
      const failure = asLaunchError(err, dirs.readStderr(vmId));
      await this.#discard(vmId, vm);
      const isFinal = failure.kind === "exec" || FINAL_REASONS.has(failure.reason);
      if (isLast || isFinal || signal.aborted) throw failure;
      logger.warn("a start path failed, trying the next", { startPath, error: describeError(failure) });
      phases.mark(`vmm.${startPath}_failed`, { reason: failure.reason });
      return undefined;
    }
  }

  /** Removes what a failed start left. What cannot be removed is left to the sweep: the start's own failure is its answer. */
  async #discard(vmId: string, vm: GuestVm | undefined): Promise<void> {
    const { dirs } = this.#options;
    try {
      await endProcesses(dirs, vmId);
      await vm?.detach();
      await dirs.remove(vmId);
    } catch (err) {
      logger.warn("a VM that failed to start could not be removed", { vmId, error: describeError(err) });
    }
  }

  #isAvailable(startPath: StartPath, { vmId, shape }: LaunchRequest): boolean {
    if (startPath === "cold") return true;
    if (startPath === "template") return this.#warmVms.templates?.has(shape) ?? false;
    const has = this.#warmVms.has(vmId, shape);
    this.#options.metrics[has ? "hit" : "miss"](shape);
    return has;
  }

  async #adopt(vmId: string, startPath: StartPath, sink: VmSink): Promise<GuestVm | undefined> {
    const { dirs } = this.#options;
    const signal = AbortSignal.any([AbortSignal.timeout(ADOPT_TIMEOUT_MS), this.#closing.signal]);
    const qmp = await openMonitor(dirs.runDir(vmId), signal);
    const wasSaving = dirs.isSaving(vmId);
    if (wasSaving || existsSync(dirs.usedUp(vmId))) {
      // It may stand still as it was being saved, or was about to go on.
      await qmp.execute("cont");
      dirs.endSaving(vmId);
    } else if (!(await isRunning(qmp))) {
      // A warm VM that was being claimed when hostd was killed. Nothing of the machine has run in
      // it.
      qmp.close();
      return undefined;
    }
    const vm = await GuestVm.adopt({ id: vmId, startPath, dirs, qmp, sink, notBeforeUs: 0 }, signal);
    try {
      const { state } = vm.guest.state === "waiting" ? vm.guest : await vm.started(signal);
      if (state === "running" || state === "exited") {
        await vm.thaw({ hostname: "", isOther: !wasSaving }, signal);
        vm.startedAtUs = vm.toHost(vm.guest.execAtUs);
        return vm;
      }
    } catch (err) {
      await vm.detach();
      throw err;
    }
    await vm.detach();
    return undefined;
  }
}

interface TrialBoot {
  readonly bootMs: number;
  /** Frequency of an emulated guest's time stamp counter. */
  readonly tscMhz: number | undefined;
}

interface Launch {
  readonly abort: AbortController;
  readonly ended: Promise<unknown>;
}

function exists(vmId: string): LaunchError {
  return new LaunchError("vmm", "exists", `VM ${vmId} exists`);
}

function bootLimit(ms: number, signal?: AbortSignal): TimeLimit {
  const message = `the guest did not report within ${ms} ms`;
  return new TimeLimit(ms, signal, () => new LaunchError("timeout", "boot_timeout", message));
}

/** Whether the VM's CPUs run; those of a warm VM are paused. */
async function isRunning(qmp: Qmp): Promise<boolean> {
  const status = await qmp.execute("query-status");
  return typeof status === "object" && status !== null && "running" in status && status.running === true;
}
