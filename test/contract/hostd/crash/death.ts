import type { GivenParts } from "../../../../src/hostd/hostd.ts";
import type { Store } from "../../../../src/hostd/store/store.ts";
import type { Vm, Vmm } from "../../../../src/hostd/vmm/vmm.ts";

/** Never resolves: the result of calls after the death. */
const NEVER = new Promise<never>(() => {});

/**
 * Kills a host at a chosen step: from then on nothing it does reaches disk or VMs, and nothing it awaits resolves. Every write and every call of
 * the VMM is two steps: before it, and after it.
 */
export class Death {
  /** All steps so far. */
  readonly steps: string[] = [];
  readonly happened: Promise<void>;
  readonly #at: number;
  #isDead = false;
  #die: () => void = () => {};

  /** @param at the step at which it dies, from 0; `Infinity`: never */
  constructor(at: number) {
    this.#at = at;
    this.happened = new Promise((resolve) => {
      this.#die = resolve;
    });
  }

  /** Dies now. */
  kill(): void {
    this.#isDead = true;
    this.#die();
  }

  /** A store that dies. */
  store(store: Store): GivenParts["store"] {
    return {
      incarnation: store.incarnation,
      trouble: undefined,
      get: (id) => store.get(id),
      all: () => store.all(),
      subscribe: (id, listener) => store.subscribe(id, listener),
      flush: () => store.flush(),
      prune: (beforeMs) => store.prune(beforeMs),
      intend: (change) => this.#around(`intend ${change.machine.state}`, () => store.intend(change)),
      note: (change) => {
        if (!this.#alive(`before note ${change.machine.state}`)) return NEVER;
        const noted = store.note(change);
        return noted.then(() => (this.#alive(`after note ${change.machine.state}`) ? undefined : NEVER));
      },
    };
  }

  /** A VMM that dies. */
  vmm(vmm: Vmm): Vmm {
    return {
      info: vmm.info,
      launch: async (...given) => this.#vm(await this.#around("launch", () => vmm.launch(...given))),
      adopt: async (...given) => {
        const vm = await this.#around("adopt", () => vmm.adopt(...given));
        return vm && this.#vm(vm);
      },
      destroy: (vmId) => this.#around("destroy VM", () => vmm.destroy(vmId)),
      list: () => this.#around("list", () => vmm.list()),
      save: (...given) => this.#around("save", () => present(vmm.save?.(...given))),
      saved: () => this.#around("saved", () => present(vmm.saved?.())),
      hasSaved: (name) => vmm.hasSaved?.(name) ?? false,
      dropSaved: (name) => this.#around("drop saved", () => present(vmm.dropSaved?.(name))),
      close: () => vmm.close(),
    };
  }

  #vm(vm: Vm): Vm {
    return {
      id: vm.id,
      startPath: vm.startPath,
      resumeFailure: vm.resumeFailure,
      phases: vm.phases,
      startedAtUs: vm.startedAtUs,
      exited: vm.exited.then((exit) => (this.#alive("exit") ? exit : NEVER)),
      signal: (signal) => this.#around("signal", () => vm.signal(signal)),
      exec: (...given) => vm.exec(...given),
      watchPorts: (...args) => vm.watchPorts(...args),
      processes: (...given) => vm.processes(...given),
      detach: () => vm.detach(),
    };
  }

  async #around<T>(what: string, work: () => Promise<T>): Promise<T> {
    if (!this.#alive(`before ${what}`)) return NEVER;
    const result = await work();
    return this.#alive(`after ${what}`) ? result : NEVER;
  }

  #alive(step: string): boolean {
    if (this.#isDead) return false;
    if (this.steps.length === this.#at) {
      this.kill();
      return false;
    }
    this.steps.push(step);
    return true;
  }
}

/** The simulator saves VMs. */
function present<T>(result: T | undefined): T {
  if (result === undefined) throw new Error("this VMM saves no VMs");
  return result;
}
