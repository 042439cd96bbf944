import { machineOfVm } from "../../../src/hostd/machines/ids.ts";
import { ExecError } from "../../../src/hostd/vmm/exec.ts";
import {
  LaunchError,
  type Shape,
  type Vm,
  type VmExit,
  type Vmm,
  type VmmInfo,
} from "../../../src/hostd/vmm/vmm.ts";
import { outcomeOf, programOf } from "../machines/programs.ts";
import { Random } from "../world/random.ts";
import type { Life, World } from "../world/world.ts";

/** What of a VM outlives hostd. */
interface Kept {
  readonly shape: Shape;
  readonly env: Readonly<Record<string, string>>;
  startedAtUs: number | undefined;
  exit: VmExit | undefined;
  /** It could not be destroyed. */
  clings?: boolean;
  /** Ends with the life that watches. */
  watch: ((exit: VmExit) => void) | undefined;
}

const INFO: VmmInfo = {
  name: "sim",
  acceleration: "none",
  version: "1",
  isolation: "development",
  reason: "a simulation",
};

/** The VMs of a host. They go on while hostd is away. Faults: a launch fails or takes long, a workload ends by itself, a VM stays. */
export class Vms {
  readonly #vms = new Map<string, Kept>();
  readonly #random: Random;
  readonly #world: World;
  /** Probability that a launch fails, and that a workload ends within a minute. */
  fails = 0;
  ends = 0;
  /** Probability that a VM is not destroyed when it should be. */
  clings = 0;
  /** Called when the program of a VM begins to run. */
  onRun: (vmId: string) => void = () => {};

  constructor(world: World, host: string) {
    this.#world = world;
    this.#random = new Random(world.seed, `vms of ${host}`);
  }

  /** What the VMs there are take of the host. Nobody can know of one that cannot be destroyed. */
  used(): { readonly cpus: number; readonly memoryMb: number } {
    let [cpus, memoryMb] = [0, 0];
    for (const { shape, clings } of this.#vms.values()) {
      if (clings) continue;
      cpus += shape.cpus;
      memoryMb += shape.memoryMb;
    }
    return { cpus, memoryMb };
  }

  ids(): readonly string[] {
    return [...this.#vms.keys()];
  }

  /** The environment of the program of a VM that has it running; undefined when there is none. */
  running(vmId: string): Readonly<Record<string, string>> | undefined {
    const kept = this.#vms.get(vmId);
    return kept?.startedAtUs === undefined || kept.exit ? undefined : kept.env;
  }

  /** VMs of a machine whose programs run. */
  runningOf(machineId: string): readonly string[] {
    return this.ids().filter((id) => machineOfVm(id) === machineId && this.running(id) !== undefined);
  }

  /** The VMM as a life of hostd has it. */
  open(life: Life): Vmm {
    const pause = (ms: number) => new Promise<void>((resolve) => this.#world.after(life, ms, resolve));
    return {
      info: INFO,
      launch: async ({ vmId, shape, workload: { env }, stored }, signal) => {
        const kept: Kept = { shape, env, startedAtUs: undefined, exit: undefined, watch: undefined };
        const program = programOf(env);
        this.#vms.set(vmId, kept);
        await pause(this.#random.between(1, 60));
        const isStored = await (stored ?? Promise.resolve()).then(
          () => true,
          () => false,
        );
        if (!isStored || signal.aborted || this.#random.chance(this.fails)) {
          this.#vms.delete(vmId);
          throw new LaunchError(signal.aborted ? "timeout" : "vmm", "simulated", "the launch failed");
        }
        // Destroyed under the launch: it has no process to report.
        if (!this.#vms.has(vmId)) throw new LaunchError("vmm", "gone", "the VM was destroyed");
        if (program.kind === "broken") {
          this.#vms.delete(vmId);
          throw new LaunchError("exec", "not_found", "there is no such program");
        }
        kept.startedAtUs = Date.now() * 1_000;
        this.onRun(vmId);
        const ends = outcomeOf(program, this.#random, this.ends);
        if (ends) this.#world.after(undefined, ends.afterMs, () => this.#end(vmId, this.#exit(ends)));
        return this.#watch(life, vmId, kept);
      },
      adopt: async (vmId) => {
        await pause(this.#random.between(0.1, 2));
        const kept = this.#vms.get(vmId);
        if (kept?.startedAtUs !== undefined) return this.#watch(life, vmId, kept);
        this.#vms.delete(vmId);
        return undefined;
      },
      destroy: async (vmId) => {
        await pause(this.#random.between(0.1, 5));
        if (this.#random.chance(this.clings)) {
          const kept = this.#vms.get(vmId);
          if (kept) kept.clings = true;
          throw new Error("the VMM does not answer");
        }
        this.#end(vmId, { kind: "vm_lost", oomKilled: false, exitedAtUs: 0, detail: "destroyed" });
        this.#vms.delete(vmId);
      },
      list: async () => [...this.#vms.keys()],
      close: async () => {},
    };
  }

  #watch(life: Life, id: string, kept: Kept): Vm {
    const exited = new Promise<VmExit>((resolve) => {
      kept.watch = (exit) => this.#world.after(life, 0.1, () => resolve(exit));
      if (kept.exit) kept.watch(kept.exit);
    });
    const signal = async (number: number): Promise<void> => {
      const isIgnored = number !== SIGKILL && programOf(kept.env).kind === "stubborn";
      if (isIgnored || !ENDING.has(number)) return;
      // A program takes a moment to end.
      this.#world.after(undefined, this.#random.between(0, 20), () =>
        this.#end(id, this.#exit({ signal: number })),
      );
    };
    const { startedAtUs = 0 } = kept;
    const exec = async () => {
      throw new ExecError("failed", "nothing is simulated here");
    };
    const vm = { id, startPath: "cold", phases: [], startedAtUs, exited, signal } as const;
    const watchPorts: Vm["watchPorts"] = (ports, onChange) => {
      const tell = () => {
        if (!kept.exit) onChange(ports.map((port) => ({ port, state: "open" })));
      };
      this.#world.after(life, this.#random.between(1, 30), tell);
      return true;
    };
    return { ...vm, exec, processes: async () => [], watchPorts, detach: async () => {} };
  }

  #end(id: string, exit: VmExit): void {
    const kept = this.#vms.get(id);
    if (!kept || kept.exit) return;
    kept.exit = exit;
    kept.watch?.(exit);
  }

  #exit({ code, signal }: { readonly code?: number; readonly signal?: number }): VmExit {
    const how = signal === undefined ? { exitCode: code ?? 0 } : { signal };
    return { kind: "process", ...how, oomKilled: false, exitedAtUs: Math.floor(this.#world.nowMs * 1_000) };
  }
}

const SIGKILL = 9;
/** SIGINT, SIGKILL, SIGTERM. A program goes on after others. */
const ENDING: ReadonlySet<number> = new Set([2, SIGKILL, 15]);
