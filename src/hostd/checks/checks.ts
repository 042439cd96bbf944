import { Fault } from "../../lib/faults/fault.ts";
import { type Release, Semaphore } from "../../lib/limits/semaphore.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { planChecks } from "../machines/health/check-plan.ts";
import { withHealth } from "../machines/health/readiness.ts";
import type { Machine } from "../machines/machine.ts";
import type { MachineRuntime } from "../operations/machine-runtime.ts";
import type { Proxies } from "../proxies/proxies.ts";
import type { Vm } from "../vmm/vmm.ts";
import { RunChecks } from "./run-checks.ts";

/** Checks over connections that run at once: in all, and of one organisation. */
const MAX_RUNS = { ofAll: 64, ofOrg: 16, waiting: 10_000 };

export interface ChecksOptions {
  readonly clock: Clock;
  readonly proxies: Proxies;
  /** Aborts when hostd closes. */
  readonly closing: AbortSignal;
}

/** The checks of all machines that run. */
export class Checks {
  readonly #options: ChecksOptions;
  readonly #runs = new Map<string, RunChecks>();
  readonly #ends = new Map<string, AbortController>();
  readonly #slots = new Semaphore({ permits: MAX_RUNS.ofAll, maxWaiting: MAX_RUNS.waiting, full: tooMany });
  readonly #ofOrg = new Map<string, number>();

  constructor(options: ChecksOptions) {
    this.#options = options;
  }

  /** Begins the checks of a run, after the work that is under way: nobody who started the machine waits for them. */
  begin(runtime: MachineRuntime, vm: Vm): void {
    setImmediate(() => {
      if (runtime.vm === vm && !this.#options.closing.aborted) this.#begin(runtime, vm);
    }).unref();
  }

  /** Returns a machine with the results of its checks as they are now. */
  live(machine: Machine): Machine {
    const run = this.#runs.get(machine.id);
    return run?.vmId === machine.vmId && run ? { ...machine, ...run.health } : machine;
  }

  #begin(runtime: MachineRuntime, vm: Vm): void {
    const { closing, ...parts } = this.#options;
    const { id, machine } = runtime;
    if (planChecks(machine.spec.config).length === 0) {
      // Of a hostd that had no readiness.
      if (machine.isReady === undefined)
        void runtime.note((now, at) => withHealth(now, vm.id, { isReady: true, checks: [] }, undefined, at));
      return;
    }
    this.#ends.get(id)?.abort();
    const end = new AbortController();
    const signal = AbortSignal.any([end.signal, closing]);
    const runs = { acquire: (org: string, until: AbortSignal) => this.#acquire(org, until) };
    const run = new RunChecks(runtime, vm, { ...parts, runs }, signal);
    this.#runs.set(id, run);
    this.#ends.set(id, end);
    void vm.exited.then(() => {
      end.abort();
      // The VM of a suspended machine may end after the next one has begun.
      if (this.#runs.get(id) !== run) return;
      this.#runs.delete(id);
      this.#ends.delete(id);
      parts.proxies.setReady(id, undefined);
    });
  }

  #acquire(org: string, signal: AbortSignal): Promise<Release> {
    return this.#slots.acquire(signal, org, () => {
      const running = this.#ofOrg.get(org) ?? 0;
      if (running >= MAX_RUNS.ofOrg) return undefined;
      this.#ofOrg.set(org, running + 1);
      return () => {
        const left = (this.#ofOrg.get(org) ?? 1) - 1;
        if (left > 0) this.#ofOrg.set(org, left);
        else this.#ofOrg.delete(org);
      };
    });
  }
}

function tooMany(waiting: number): Fault {
  const message = `${waiting} checks wait for this host already`;
  return new Fault("RESOURCE_EXHAUSTED", "TOO_MANY_CHECKS", message, { waiting: String(waiting) });
}
