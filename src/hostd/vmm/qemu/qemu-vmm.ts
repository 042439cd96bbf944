import { describeError, logger } from "../../../lib/runtime/log.ts";
import {
  LaunchError,
  type LaunchRequest,
  type SavedVm,
  type SaveOptions,
  type Shape,
  type Vm,
  type Vmm,
  type VmmInfo,
  type VmSink,
  type WarmDemand,
} from "../vmm.ts";
import { adoptVm } from "./adopt-vm.ts";
import type { GuestVm } from "./guest-channel/guest-vm.ts";
import { alreadyExists, Launcher, type LauncherOptions } from "./launcher.ts";
import { isAlive } from "./process/process-id.ts";
import { endProcesses, listVms } from "./process/remove-vm.ts";
import { saveVm } from "./saved/save-vm.ts";
import { SavedVms } from "./saved/saved-vms.ts";
import { WarmVms } from "./warm-pool/warm-vms.ts";

export interface QemuVmmOptions extends LauncherOptions {
  readonly info: VmmInfo;
  readonly maxBoots: number;
}

const GO_ON_TIMEOUT_MS = 60_000;

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
  readonly #launcher: Launcher;
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
    this.#launcher = new Launcher(options, this.#warmVms, this.#saved);
  }

  reserveWarm(vmId: string, shape: Shape): boolean {
    return this.#warmVms.reserve(vmId, shape);
  }

  async launch(request: LaunchRequest, signal: AbortSignal): Promise<Vm> {
    const { vmId } = request;
    if (this.#launches.has(vmId) || this.#vms.has(vmId)) throw alreadyExists(vmId);
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
    const vm = isAdoptable
      ? await adoptVm({ id: vmId, startPath: record.startPath, dirs, sink }, this.#closing.signal)
      : undefined;
    if (vm) this.#vms.set(vmId, vm);
    else await this.destroy(vmId);
    return vm;
  }

  async save(vmId: string, options: SaveOptions, signal: AbortSignal): Promise<SavedVm> {
    const vm = this.#vms.get(vmId);
    if (!vm) throw new Error(`VM ${vmId} cannot be saved`);
    const saved = await saveVm(this.#options, this.#saved, vm, options, signal).catch(
      async (err: unknown) => {
        if (!options.goesOn && this.#saved.has(options.name)) await this.#saved.drop(options.name);
        await this.#saved.dropDraft(options.name);
        // Logged there. Why it was not saved says more.
        await this.#goOn(vm).catch(() => {});
        throw err;
      },
    );
    if (options.goesOn) await this.#goOn(vm);
    return saved;
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
      await vm.thaw({ hostname: "", isOther: false }, AbortSignal.timeout(GO_ON_TIMEOUT_MS));
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

  async #launch(request: LaunchRequest, signal: AbortSignal): Promise<GuestVm> {
    const vm = await this.#launcher.launch(request, signal);
    this.#vms.set(request.vmId, vm);
    return vm;
  }
}

interface Launch {
  readonly abort: AbortController;
  readonly ended: Promise<unknown>;
}
