import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import {
  LaunchError,
  type Shape,
  type Vm,
  type Vmm,
  type VmmInfo,
  type VmSink,
  type Workload,
} from "../vmm.ts";
import { type Acquired, type BootOptions, bootCold, markGuestPhases } from "./acquire.ts";
import { asLaunchError, startFailure } from "./failure.ts";
import { GuestVm } from "./guest-vm.ts";
import { PhaseLog } from "./phases.ts";
import { findByArgument, isAlive, killAndWait, type ProcessId } from "./process.ts";
import { runMessage } from "./protocol.ts";
import { openMonitor } from "./spawn.ts";
import { Turnstile } from "./turnstile.ts";

/** What the QEMU adapter works with. */
export interface QemuVmmOptions extends BootOptions {
  readonly info: VmmInfo;
  /** How long a launch may wait for its turn, and then again how long it may take until the workload runs. */
  readonly bootTimeoutMs: number;
  /** Kernels booting at once; more only slow each other down. */
  readonly coldBoots: number;
  /** Launches that may wait for their turn. */
  readonly maxWaiting: number;
}

const KILL_TIMEOUT_MS = 10_000;
const ADOPT_TIMEOUT_MS = 60_000;
const ENTROPY_BYTES = 64;
const CANARY_SHAPE: Shape = { cpus: 1, memoryMb: 256 };

/**
 * VMs by QEMU, with KVM or in emulation. A launch is: acquire a guest that waits, give it the workload, wait until that is exec'ed.
 * Each VM is a QEMU process in a session of its own and a directory; whatever hostd forgets is found by either.
 */
export class QemuVmm implements Vmm {
  readonly info: VmmInfo;
  private readonly options: QemuVmmOptions;
  private readonly boots: Turnstile;
  private readonly vms = new Map<string, GuestVm>();
  private readonly launches = new Map<string, Launch>();

  constructor(options: QemuVmmOptions) {
    this.info = options.info;
    this.options = options;
    this.boots = new Turnstile(options.coldBoots, options.maxWaiting);
  }

  async launch(
    vmId: string,
    shape: Shape,
    workload: Workload,
    sink: VmSink,
    signal: AbortSignal,
  ): Promise<Vm> {
    if (this.launches.has(vmId) || this.vms.has(vmId) || this.options.dirs.has(vmId)) {
      throw new LaunchError("vmm", "exists", `VM ${vmId} exists`);
    }
    const abort = new AbortController();
    const done = this.launchCold(vmId, shape, workload, sink, AbortSignal.any([signal, abort.signal]));
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
    const vm = await GuestVm.connect(
      { id: vmId, way: record.way, dirs, qmp, sink, now, notBeforeUs: 0 },
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
    const launch = this.launches.get(vmId);
    launch?.abort.abort(new LaunchError("vmm", "destroyed", "the VM was destroyed during its launch"));
    await launch?.settled;
    await killAndWait(this.processes(vmId), KILL_TIMEOUT_MS);
    const vm = this.vms.get(vmId);
    this.vms.delete(vmId);
    await vm?.abandon();
    await this.options.dirs.remove(vmId);
  }

  async list(): Promise<readonly string[]> {
    const { dirs } = this.options;
    const ids = dirs.list();
    for (const id of ids) dirs.trimStderr(id);
    const running = findByArgument(dirs.mark).map(({ argument }) => argument.slice(dirs.mark.length));
    return [...new Set([...ids, ...running])];
  }

  async close(): Promise<void> {
    const launches = [...this.launches.values()];
    for (const { abort } of launches) abort.abort(new LaunchError("vmm", "closing", "hostd is closing"));
    await Promise.all(launches.map(({ settled }) => settled));
    await Promise.all([...this.vms.values()].map((vm) => vm.detach()));
    this.vms.clear();
  }

  /** Boots a guest without a machine, to see whether it says a word, and ends it. Rejects with LaunchError when it does not. */
  async tryBoot(vmId: string): Promise<void> {
    await this.destroy(vmId);
    const phases = new PhaseLog(this.options.now);
    const { signal, clear } = this.bootDeadline(new AbortController().signal);
    try {
      const { vm } = await bootCold(
        this.options,
        vmId,
        CANARY_SHAPE,
        undefined,
        { onLog() {} },
        signal,
        phases,
      );
      await vm.detach();
    } catch (err) {
      throw asLaunchError(err, this.options.dirs.readStderr(vmId));
    } finally {
      clear();
      await this.destroy(vmId);
    }
  }

  private bootDeadline(signal: AbortSignal): { signal: AbortSignal; clear: () => void } {
    const { bootTimeoutMs } = this.options;
    const deadline = new AbortController();
    const message = `the guest did not report within ${bootTimeoutMs} ms`;
    const timer = setTimeout(
      () => deadline.abort(new LaunchError("timeout", "boot_timeout", message)),
      bootTimeoutMs,
    );
    return { signal: AbortSignal.any([signal, deadline.signal]), clear: () => clearTimeout(timer) };
  }

  /** Waits for a turn, boots, runs. Leaves nothing behind when it fails. */
  private async launchCold(
    vmId: string,
    shape: Shape,
    workload: Workload,
    sink: VmSink,
    signal: AbortSignal,
  ): Promise<GuestVm> {
    const phases = new PhaseLog(this.options.now);
    let vm: GuestVm | undefined;
    const leave = await this.takeTurn(signal);
    phases.mark("vmm.queue");
    const { signal: limit, clear } = this.bootDeadline(signal);
    try {
      const acquired = await bootCold(this.options, vmId, shape, workload, sink, limit, phases);
      vm = acquired.vm;
      await runWorkload(acquired, workload, limit, phases);
    } catch (err) {
      const failure = asLaunchError(err, this.options.dirs.readStderr(vmId));
      await killAndWait(this.processes(vmId), KILL_TIMEOUT_MS);
      await vm?.detach();
      await this.options.dirs.remove(vmId);
      throw failure;
    } finally {
      clear();
      leave();
    }
    this.vms.set(vmId, vm);
    await settle(vm, workload.settleMs, signal);
    return vm;
  }

  private async takeTurn(signal: AbortSignal): Promise<() => void> {
    const { bootTimeoutMs } = this.options;
    const patience = AbortSignal.timeout(bootTimeoutMs);
    try {
      const leave = await this.boots.enter(AbortSignal.any([signal, patience]));
      if (leave) return leave;
    } catch (err) {
      if (!patience.aborted || signal.aborted) throw asLaunchError(err, "");
      throw new LaunchError("timeout", "queue_timeout", `no VM could be booted within ${bootTimeoutMs} ms`);
    }
    throw new LaunchError("vmm", "queue_full", `${this.boots.depth} launches are waiting already`);
  }

  private processes(vmId: string): ProcessId[] {
    const { dirs } = this.options;
    const record = dirs.readRecord(vmId);
    const known = [record?.qemu, record?.parent].filter((id) => id !== undefined);
    if (known.some(isAlive)) return known;
    // Without a record, or with one from before a crash, only the process table knows.
    return findByArgument(dirs.mark + vmId)
      .filter(({ argument }) => argument === dirs.mark + vmId)
      .map(({ id }) => id);
  }
}

interface Launch {
  readonly abort: AbortController;
  readonly settled: Promise<unknown>;
}

/** Tells a waiting guest what to run and waits until it does. */
async function runWorkload(
  { vm }: Acquired,
  workload: Workload,
  signal: AbortSignal,
  phases: PhaseLog,
): Promise<void> {
  phases.mark("vmm.run");
  vm.run((nowUs) => runMessage(workload, nowUs, randomBytes(ENTROPY_BYTES)));
  const state = await vm.settled(signal);
  if (state.state === "failed") throw startFailure(state.failure, workload);
  markGuestPhases(vm, phases, ["disk", "mount"]);
  vm.startedAtUs = vm.toHost(state.execAtUs);
  phases.markAt("guest.exec", vm.startedAtUs);
  phases.mark("vmm.report");
  vm.phases = phases.all();
}

/** Watches the workload for a moment, so that one that ends at once is seen to. */
async function settle(vm: GuestVm, settleMs: number, signal: AbortSignal): Promise<void> {
  if (settleMs <= 0) return;
  const over = new AbortController();
  const pause = delay(settleMs, undefined, { signal: AbortSignal.any([signal, over.signal]) });
  await Promise.race([pause.catch(() => {}), vm.exited]);
  over.abort();
}
