import { endsWithin, sleep } from "../../../lib/runtime/wait.ts";
import { untilRecorded } from "../recorded.ts";
import {
  LaunchError,
  type Shape,
  type Vm,
  type Vmm,
  type VmmInfo,
  type VmSink,
  type Workload,
} from "../vmm.ts";
import { SimFiles, type SimRecord } from "./sim-files.ts";
import { simScript } from "./sim-script.ts";
import { SimVm } from "./sim-vm.ts";

/** How long a launch that hangs takes unless it is aborted: the longest timer there is. */
const HANG_MS = 2 ** 31 - 1;

/** How a simulation behaves. */
export interface SimOptions {
  /** Where its VMs are kept; they outlive the process. */
  readonly dir: string;
  /** How long a launch takes. Default 0. */
  readonly latencyMs?: number;
  /** Up to so much more, by chance. Default 0. */
  readonly jitterMs?: number;
}

/** What {@link SimVmm.failNext} can make fail. */
export type SimFault = "launch" | "adopt" | "destroy";

/** A VMM without VMs: everything of a VM's life but the VM. For tests of scale and of faults. */
export class SimVmm implements Vmm {
  readonly info: VmmInfo = {
    name: "sim",
    acceleration: "none",
    version: "1",
    isolation: "development",
    reason: "HOSTD_VMM=sim: nothing is really run",
  };
  readonly #files: SimFiles;
  readonly #options: SimOptions;
  readonly #vms = new Map<string, SimVm>();
  readonly #faults = new Map<SimFault, number>();

  constructor(options: SimOptions) {
    this.#options = options;
    this.#files = new SimFiles(options.dir);
  }

  /** Makes the next so many calls of a kind fail. */
  failNext(what: SimFault, times = 1): void {
    this.#faults.set(what, times);
  }

  async launch(
    vmId: string,
    _shape: Shape,
    work: Workload,
    sink: VmSink,
    signal: AbortSignal,
    ready?: Promise<void>,
  ): Promise<Vm> {
    const beganUs = Date.now() * 1_000;
    const script = simScript(work.argv);
    const record: SimRecord = { script };
    try {
      signal.throwIfAborted();
      await this.#files.write(vmId, record);
      const latencyMs = script.hangs ? HANG_MS : this.#latency();
      if (latencyMs > 0) await sleep(latencyMs, signal);
      if (this.#fails("launch")) throw new LaunchError("vmm", "injected", "injected failure");
      await untilRecorded(ready, signal);
      if (script.launchError) throw script.launchError;
      const startedAtUs = Date.now() * 1_000;
      const started = { ...record, startedAtUs };
      await this.#files.write(vmId, started);
      const phases = [{ name: "sim.launch", startUs: beganUs, endUs: Date.now() * 1_000 }];
      const vm = new SimVm(vmId, started, phases, this.#files);
      this.#vms.set(vmId, vm);
      void write(script.lines, sink);
      await settle(vm, work.watchMs);
      signal.throwIfAborted();
      return vm;
    } catch (err) {
      await this.destroy(vmId);
      throw signal.aborted ? new LaunchError("timeout", "aborted", "the launch was called off", err) : err;
    }
  }

  async adopt(vmId: string, _sink: VmSink): Promise<Vm | undefined> {
    if (this.#fails("adopt")) throw new Error("injected failure");
    const record = await this.#files.read(vmId);
    if (record?.startedAtUs === undefined) {
      await this.#files.remove(vmId);
      return undefined;
    }
    const vm = new SimVm(vmId, { ...record, startedAtUs: record.startedAtUs }, [], this.#files);
    this.#vms.set(vmId, vm);
    return vm;
  }

  async destroy(vmId: string): Promise<void> {
    if (this.#fails("destroy")) throw new Error("injected failure");
    await this.#files.remove(vmId);
    this.#vms.get(vmId)?.lose();
    this.#vms.delete(vmId);
  }

  list(): Promise<readonly string[]> {
    return this.#files.list();
  }

  async close(): Promise<void> {
    for (const vm of this.#vms.values()) await vm.detach();
  }

  #latency(): number {
    return (this.#options.latencyMs ?? 0) + Math.random() * (this.#options.jitterMs ?? 0);
  }

  #fails(what: SimFault): boolean {
    const left = this.#faults.get(what) ?? 0;
    if (left > 0) this.#faults.set(what, left - 1);
    return left > 0;
  }
}

async function write(lines: number, sink: VmSink): Promise<void> {
  for (let line = 1; line <= lines; line += 1) {
    await sink.onLog({ timeUs: Date.now() * 1_000, stream: "stdout", text: `line ${line}` });
  }
}

/** Watches a workload that may end at once. */
async function settle(vm: SimVm, ms: number): Promise<void> {
  if (ms <= 0) return;
  await endsWithin(ms, vm.exited);
}
