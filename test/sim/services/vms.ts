import { ExecError } from "../../../src/hostd/vmm/exec.ts";
import {
  LaunchError,
  type Shape,
  type Vm,
  type VmExit,
  type Vmm,
  type VmmInfo,
} from "../../../src/hostd/vmm/vmm.ts";
import { Random } from "../world/random.ts";
import type { Life, World } from "../world/world.ts";

/** What of a VM outlives hostd. */
interface Kept {
  readonly shape: Shape;
  startedAtUs: number | undefined;
  exit: VmExit | undefined;
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

/** The VMs of a host. They go on while hostd is away. Faults: a launch fails or takes long, a workload ends by itself. */
export class Vms {
  readonly #vms = new Map<string, Kept>();
  readonly #random: Random;
  readonly #world: World;
  /** Probability that a launch fails, and that a workload ends within a minute. */
  fails = 0;
  ends = 0;

  constructor(world: World, host: string) {
    this.#world = world;
    this.#random = new Random(world.seed, `vms of ${host}`);
  }

  /** What the VMs there are take of the host. */
  used(): { readonly cpus: number; readonly memoryMb: number } {
    let [cpus, memoryMb] = [0, 0];
    for (const { shape } of this.#vms.values()) {
      cpus += shape.cpus;
      memoryMb += shape.memoryMb;
    }
    return { cpus, memoryMb };
  }

  ids(): readonly string[] {
    return [...this.#vms.keys()];
  }

  /** The VMM as a life of hostd has it. */
  open(life: Life): Vmm {
    const pause = (ms: number) => new Promise<void>((resolve) => this.#world.after(life, ms, resolve));
    return {
      info: INFO,
      launch: async ({ vmId, shape, stored }, signal) => {
        const kept: Kept = { shape, startedAtUs: undefined, exit: undefined, watch: undefined };
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
        kept.startedAtUs = Date.now() * 1_000;
        if (this.#random.chance(this.ends)) {
          this.#world.after(undefined, this.#random.between(1, 60_000), () =>
            this.#end(vmId, byItself(this.#world)),
          );
        }
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
      this.#end(id, { kind: "process", signal: number, oomKilled: false, exitedAtUs: Date.now() * 1_000 });
    };
    const { startedAtUs = 0 } = kept;
    const exec = async () => {
      throw new ExecError("failed", "nothing is simulated here");
    };
    const vm = { id, startPath: "cold", phases: [], startedAtUs, exited, signal } as const;
    return { ...vm, exec, processes: async () => [], detach: async () => {} };
  }

  #end(id: string, exit: VmExit): void {
    const kept = this.#vms.get(id);
    if (!kept || kept.exit) return;
    kept.exit = exit;
    kept.watch?.(exit);
  }
}

function byItself(world: World): VmExit {
  return { kind: "process", exitCode: 0, oomKilled: false, exitedAtUs: Math.floor(world.nowMs * 1_000) };
}
