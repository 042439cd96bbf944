import { join } from "node:path";
import { abortable } from "../../../lib/runtime/abort.ts";
import { sleep } from "../../../lib/runtime/wait.ts";
import {
  LaunchError,
  type LaunchRequest,
  type ResumeFrom,
  type SavedVm,
  type SaveOptions,
  untilStored,
  type Vm,
  type Vmm,
  type VmmInfo,
  type VmSink,
} from "../vmm.ts";
import { SimFiles, type SimRecord } from "./sim-files.ts";
import { simScript } from "./sim-script.ts";
import { SimVm } from "./sim-vm.ts";

/** What a saved VM takes of the disk. */
const SAVED_BYTES = 8 * 1024 * 1024;
/** The longest timer there is. */
const HANG_MS = 2 ** 31 - 1;

export interface SimOptions {
  /** The folder of its VMs, which outlive the process. */
  readonly dir: string;
  /** How long a launch takes. Default 0. */
  readonly latencyMs?: number;
  /** The most random time in addition. Default 0. */
  readonly jitterMs?: number;
}

/** A call that {@link SimVmm.failNext} can make fail. */
export type SimFault = "launch" | "adopt" | "destroy" | "save" | "resume";

/** A VMM that only pretends to run VMs, for tests of scale and faults. */
export class SimVmm implements Vmm {
  readonly info: VmmInfo = {
    name: "sim",
    acceleration: "none",
    version: "1",
    isolation: "development",
    reason: "HOSTD_VMM=sim: nothing runs",
  };
  readonly #files: SimFiles;
  /** Saved VMs, by name. */
  readonly #saved: SimFiles;
  readonly #options: SimOptions;
  readonly #vms = new Map<string, SimVm>();
  readonly #faults = new Map<SimFault, number>();
  /** What the calls of a kind wait for. */
  readonly #holds = new Map<SimFault, Promise<void>>();
  /** VMs that are being saved. */
  readonly #saving = new Set<string>();

  constructor(options: SimOptions) {
    this.#options = options;
    this.#files = new SimFiles(options.dir);
    this.#saved = new SimFiles(join(options.dir, "saved"));
  }

  /** Makes the next `times` calls of a kind fail. */
  failNext(what: SimFault, times = 1): void {
    this.#faults.set(what, times);
  }

  /** Makes the calls of a kind wait until the function that it returns is called. */
  hold(what: "launch" | "save"): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#holds.set(what, promise);
    return () => {
      this.#holds.delete(what);
      resolve();
    };
  }

  /** The VM of an id, for tests that make its workload listen. */
  vm(vmId: string): SimVm | undefined {
    return this.#vms.get(vmId);
  }

  async launch(request: LaunchRequest, signal: AbortSignal): Promise<Vm> {
    const { vmId, workload, sink, stored, resumeFrom } = request;
    const startUs = Date.now() * 1_000;
    const script = simScript(workload.argv);
    const record: SimRecord = { script };
    try {
      signal.throwIfAborted();
      this.#files.write(vmId, record);
      const latencyMs = script.hangs ? HANG_MS : this.#latency();
      if (latencyMs > 0) await sleep(latencyMs, signal);
      await this.#untilLet("launch", signal);
      if (this.#fails("launch")) throw new LaunchError("vmm", "injected", "injected failure");
      const launchedUs = Date.now() * 1_000;
      await untilStored(stored, signal);
      if (script.launchError) throw script.launchError;
      const startedAtUs = Date.now() * 1_000;
      const resumed = resumeFrom && this.#resume(resumeFrom);
      const resumeFailure = resumeFrom && !resumed ? "there is no such saved VM" : undefined;
      const started = { ...record, ...resumed, startedAtUs };
      this.#files.write(vmId, started);
      const phases = [
        { name: "sim.launch", startUs, endUs: launchedUs },
        // As of a real VM: it waits until the start is stored.
        { name: "vmm.run", startUs: launchedUs, endUs: Date.now() * 1_000 },
      ];
      const vm = new SimVm(vmId, started, phases, this.#files, sink, resumeFailure);
      this.#vms.set(vmId, vm);
      if (!resumed) void writeLines(script.lines, sink);
      signal.throwIfAborted();
      return vm;
    } catch (err) {
      await this.destroy(vmId);
      throw signal.aborted ? new LaunchError("timeout", "aborted", "the launch was aborted", err) : err;
    }
  }

  async adopt(vmId: string, sink: VmSink): Promise<Vm | undefined> {
    if (this.#fails("adopt")) throw new Error("injected failure");
    const record = this.#files.read(vmId);
    if (record?.startedAtUs === undefined || this.hasSaved(vmId)) {
      this.#files.remove(vmId);
      return undefined;
    }
    const vm = new SimVm(vmId, { ...record, startedAtUs: record.startedAtUs }, [], this.#files, sink);
    this.#vms.set(vmId, vm);
    return vm;
  }

  async save(vmId: string, { name, goesOn, maxBytes }: SaveOptions, signal: AbortSignal): Promise<SavedVm> {
    if (this.#saving.has(vmId)) throw new Error("it is being saved already");
    const vm = this.#vms.get(vmId);
    const record = vm?.freeze();
    if (!vm || !record) throw new Error("the process has ended");
    this.#saving.add(vmId);
    try {
      const latencyMs = this.#latency();
      if (latencyMs > 0) await sleep(latencyMs, signal);
      await this.#untilLet("save", signal);
      signal.throwIfAborted();
      if (this.#fails("save")) throw new Error("injected failure");
      if (SAVED_BYTES > maxBytes) throw new Error("it would take more of the disk than it may");
      this.#saved.write(name, record);
      if (goesOn) vm.thaw();
      return { name, bytes: SAVED_BYTES };
    } catch (err) {
      vm.thaw();
      throw err;
    } finally {
      this.#saving.delete(vmId);
    }
  }

  async saved(): Promise<readonly SavedVm[]> {
    return this.#saved.list().map((name) => ({ name, bytes: SAVED_BYTES }));
  }

  hasSaved(name: string): boolean {
    return this.#saved.read(name) !== undefined;
  }

  async dropSaved(name: string): Promise<void> {
    if (this.hasSaved(name)) this.#saved.remove(name);
  }

  #resume({ name, isKept }: ResumeFrom): SimRecord | undefined {
    const record = this.#fails("resume") ? undefined : this.#saved.read(name);
    if (record && !isKept) this.#saved.remove(name);
    return record && { ...record, startPath: isKept ? "snapshot" : "resume" };
  }

  async destroy(vmId: string): Promise<void> {
    if (this.#fails("destroy")) throw new Error("injected failure");
    this.#files.remove(vmId);
    this.#vms.get(vmId)?.abandon();
    this.#vms.delete(vmId);
  }

  async list(): Promise<readonly string[]> {
    return this.#files.list();
  }

  async close(): Promise<void> {
    for (const vm of this.#vms.values()) await vm.detach();
  }

  #latency(): number {
    return (this.#options.latencyMs ?? 0) + Math.random() * (this.#options.jitterMs ?? 0);
  }

  async #untilLet(what: SimFault, signal: AbortSignal): Promise<void> {
    await abortable(this.#holds.get(what) ?? Promise.resolve(), signal);
  }

  #fails(what: SimFault): boolean {
    const left = this.#faults.get(what) ?? 0;
    if (left > 0) this.#faults.set(what, left - 1);
    return left > 0;
  }
}

async function writeLines(lines: number, sink: VmSink): Promise<void> {
  for (let line = 1; line <= lines; line += 1) {
    await sink.onLog({ timeUs: Date.now() * 1_000, stream: "stdout", text: `line ${line}` });
  }
}
