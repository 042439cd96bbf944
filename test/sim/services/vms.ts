import { machineOfVm } from "../../../src/hostd/machines/ids.ts";
import { ExecError } from "../../../src/hostd/vmm/exec.ts";
import {
  LaunchError,
  type LaunchRequest,
  type ResumeFrom,
  type SavedVm,
  type SaveOptions,
  type Vm,
  type VmExit,
  type Vmm,
  type VmmInfo,
} from "../../../src/hostd/vmm/vmm.ts";
import { abortable } from "../../../src/lib/runtime/abort.ts";
import { programOf } from "../machines/programs.ts";
import { Random } from "../world/random.ts";
import type { Life, World } from "../world/world.ts";
import { Guest } from "./guest.ts";
import { type Saved, SavedVms } from "./saved.ts";

const INFO: VmmInfo = {
  name: "sim",
  acceleration: "none",
  version: "1",
  isolation: "development",
  reason: "a simulation",
};
const MB = 1024 * 1024;
/** What a save takes besides memory, at most. */
const DEVICES_MB = 3;
const SCRATCH_MB = 1_024;
const DESTROYED: VmExit = { kind: "vm_lost", oomKilled: false, exitedAtUs: 0, detail: "destroyed" };

/**
 * The VMs of a host, and what is saved of them. They go on while hostd is away. Faults: a launch, a save or a resume fails or takes long, a
 * workload ends by itself, a VM stays.
 */
export class Vms {
  readonly #guests = new Map<string, Guest>();
  readonly #random: Random;
  /** Of saves and what comes of them. */
  readonly #luck: Random;
  readonly #world: World;
  readonly saved: SavedVms;
  /** Probability that a launch fails, and that a workload ends within a minute. */
  fails = 0;
  ends = 0;
  /** Probability that a VM is not destroyed when it should be. */
  clings = 0;
  /** Probability that a save fails, that it takes long, and that what was saved does not go on. */
  saveFails = 0;
  saveDrags = 0;
  resumeFails = 0;
  /** Probability that a guest does not answer for a while when it is to be taken over. */
  adoptDrags = 0;
  /** Called when the program of a VM begins to run there, or goes on after a save. */
  onRun: (vmId: string, begins: boolean) => void = () => {};
  /** Called when a VM has been saved, and its host is about to know. */
  onSaved: (vmId: string) => void = () => {};
  /** Called when the host does with VMs what it must not. */
  onMisuse: (what: string) => void = () => {};

  constructor(world: World, host: string, saved = new SavedVms()) {
    this.#world = world;
    this.#random = new Random(world.seed, `vms of ${host}`);
    this.#luck = new Random(world.seed, `saves of ${host}`);
    this.saved = saved;
  }

  /** What the VMs there are take of the host. Nobody can know of one that cannot be destroyed. */
  used(): { readonly cpus: number; readonly memoryMb: number } {
    let [cpus, memoryMb] = [0, 0];
    for (const { shape, clings } of this.#guests.values()) {
      if (clings) continue;
      cpus += shape.cpus;
      memoryMb += shape.memoryMb;
    }
    return { cpus, memoryMb };
  }

  ids(): readonly string[] {
    return [...this.#guests.keys()];
  }

  /** The disk of what a VM was resumed from and still reads, unless it is among what is saved. */
  resumedMb(vmId: string): number {
    const { resumed, readsFrom } = this.#guests.get(vmId) ?? {};
    return readsFrom !== undefined && this.saved.get(readsFrom) === resumed ? 0 : (resumed?.megabytes ?? 0);
  }

  /** The environment of the program of a VM that has it running; undefined when there is none. */
  running(vmId: string): Readonly<Record<string, string>> | undefined {
    const guest = this.#guests.get(vmId);
    return guest?.isRunning ? guest.env : undefined;
  }

  /** VMs of a machine whose programs run. */
  runningOf(machineId: string): readonly string[] {
    return this.ids().filter((id) => machineOfVm(id) === machineId && this.running(id) !== undefined);
  }

  /** The VMM as a life of hostd has it. */
  open(life: Life): Vmm {
    this.saved.dropDrafts();
    return {
      info: INFO,
      launch: (request, signal) => this.#launch(life, request, signal),
      adopt: async (vmId) => {
        const isBusy = this.#luck.chance(this.adoptDrags);
        await this.#pause(life, isBusy ? this.#luck.between(2_000, 30_000) : this.#random.between(0.1, 2));
        return this.#adopt(life, vmId);
      },
      save: (vmId, options, signal) => this.#save(life, vmId, options, signal),
      saved: async () => this.saved.list(),
      hasSaved: (name) => this.saved.usable(name) !== undefined,
      dropSaved: async (name) => {
        await this.#pause(life, this.#luck.between(0.1, 5));
        this.saved.drop(name);
      },
      destroy: async (vmId) => {
        await this.#pause(life, this.#random.between(0.1, 5));
        const guest = this.#guests.get(vmId);
        if (this.#random.chance(this.clings)) {
          if (guest) guest.clings = true;
          throw new Error("the VMM does not answer");
        }
        guest?.end(DESTROYED);
        this.#guests.delete(vmId);
      },
      list: async () => [...this.#guests.keys()],
      close: async () => {},
    };
  }

  async #launch(life: Life, request: LaunchRequest, signal: AbortSignal): Promise<Vm> {
    const { vmId, shape, workload, stored, resumeFrom } = request;
    const guest = new Guest(this.#world, vmId, shape, workload.env, (begins) => this.onRun(vmId, begins));
    this.#guests.set(vmId, guest);
    await this.#pause(life, this.#random.between(1, 60));
    const isStored = await (stored ?? Promise.resolve()).then(
      () => true,
      () => false,
    );
    if (!isStored || signal.aborted || this.#random.chance(this.fails)) {
      this.#guests.delete(vmId);
      throw new LaunchError(signal.aborted ? "timeout" : "vmm", "simulated", "the launch failed");
    }
    this.#requireThere(guest);
    const resumeFailure = resumeFrom && (await this.#resume(life, guest, resumeFrom));
    if (guest.startedAtUs === undefined) {
      if (programOf(guest.env).kind === "broken") {
        this.#guests.delete(vmId);
        throw new LaunchError("exec", "not_found", "there is no such program");
      }
      guest.begin(this.#random, this.ends);
    }
    return this.#watch(life, guest, resumeFailure);
  }

  /** Goes on with a saved VM. Returns why it could not. */
  async #resume(life: Life, guest: Guest, { name, isKept }: ResumeFrom): Promise<string | undefined> {
    const saved = this.saved.usable(name);
    if (!saved) return "there is no such saved VM";
    if (this.#luck.chance(this.resumeFails)) {
      // Found out when it has been used up, or before.
      if (!isKept && this.#luck.chance(0.5)) this.saved.delete(name);
      return "the guest does not confirm that it goes on";
    }
    guest.startPath = isKept ? "snapshot" : "resume";
    if (isKept) guest.readsFrom = name;
    else {
      this.saved.delete(name);
      guest.resumed = saved;
      // A hostd that dies now has used it up, and the next one lets it go on.
      await this.#pause(life, this.#luck.between(0.1, 20));
      this.#requireThere(guest);
    }
    guest.resumed = saved;
    this.#goOn(guest, saved);
    return undefined;
  }

  #goOn(guest: Guest, saved: Saved): void {
    if (!saved.isWhole) this.onMisuse(`${guest.id} goes on with what was not saved whole`);
    guest.goOn(saved);
  }

  /** @throws LaunchError when it was destroyed under the launch: it has no process to report */
  #requireThere(guest: Guest): void {
    if (this.#guests.get(guest.id) !== guest) throw new LaunchError("vmm", "gone", "the VM was destroyed");
  }

  #adopt(life: Life, vmId: string): Vm | undefined {
    const guest = this.#guests.get(vmId);
    // One that is saved under its own id never goes on.
    if (!guest || this.saved.usable(vmId)) {
      this.#guests.delete(vmId);
      return undefined;
    }
    if (guest.resumed && guest.startedAtUs === undefined) this.#goOn(guest, guest.resumed);
    if (guest.startedAtUs === undefined) {
      this.#guests.delete(vmId);
      return undefined;
    }
    guest.thaw();
    return this.#watch(life, guest, undefined);
  }

  async #save(
    life: Life,
    vmId: string,
    { name, goesOn, shape, maxBytes }: SaveOptions,
    signal: AbortSignal,
  ): Promise<SavedVm> {
    const guest = this.#guests.get(vmId);
    if (!guest?.isRunning) throw new Error("the process has ended, or stands still");
    const paused = guest.freeze();
    const luck = this.#luck;
    const memoryMb = luck.whole(1, shape.memoryMb) + luck.whole(1, DEVICES_MB);
    // The disk of a VM that goes on is copied.
    const megabytes = memoryMb + (goesOn && luck.chance(0.2) ? luck.whole(0, SCRATCH_MB) : 0);
    try {
      if (megabytes * MB > maxBytes) throw new Error("it would take more of the disk than it may");
      await abortable(this.#pause(life, luck.between(0.1, 5)), signal);
      this.saved.set(name, { ...paused, megabytes, isWhole: false });
      const writeMs = luck.between(0.5, luck.chance(this.saveDrags) ? 130_000 : 200);
      await abortable(this.#pause(life, writeMs), signal);
      if (this.#guests.get(vmId) !== guest) throw new Error("the VM was destroyed");
      if (luck.chance(this.saveFails)) throw new Error("the VMM does not answer");
    } catch (err) {
      this.saved.delete(name);
      await this.#pause(life, luck.between(0.1, 5));
      guest.thaw();
      throw err;
    }
    this.saved.set(name, { ...paused, megabytes, isWhole: true });
    this.onSaved(vmId);
    await this.#pause(life, 0.01);
    if (goesOn) guest.thaw();
    return { name, bytes: megabytes * MB };
  }

  #watch(life: Life, guest: Guest, resumeFailure: string | undefined): Vm {
    const exited = new Promise<VmExit>((resolve) => {
      guest.watch = (exit) => this.#world.after(life, 0.1, () => resolve(exit));
      if (guest.exit) guest.watch(guest.exit);
    });
    const { id, startPath, startedAtUs = 0 } = guest;
    const exec = async () => {
      throw new ExecError("failed", "nothing is simulated here");
    };
    const watchPorts: Vm["watchPorts"] = (ports, onChange) => {
      const tell = () => {
        if (!guest.exit) onChange(ports.map((port) => ({ port, state: "open" })));
      };
      this.#world.after(life, this.#random.between(1, 30), tell);
      return true;
    };
    const signal = async (number: number) => guest.signal(number, this.#random);
    const vm = { id, startPath, resumeFailure, phases: [], startedAtUs, exited, signal };
    return { ...vm, exec, processes: async () => [], watchPorts, detach: async () => {} };
  }

  #pause(life: Life, ms: number): Promise<void> {
    return new Promise((resolve) => this.#world.after(life, ms, resolve));
  }
}
