import { endsWithin } from "../../lib/runtime/wait.ts";
import { stopping } from "../machines/change.ts";
import type { Machine, PendingStop } from "../machines/machine.ts";
import type { Vm } from "../vmm/vmm.ts";
import type { MachineRuntime } from "./machine-runtime.ts";
import { signalNumber } from "./signals.ts";

/** What a stop may be told besides what the machine's configuration says. */
export interface StopOptions {
  /** By name. */
  readonly signal?: string;
  /** Between the signal and SIGKILL. */
  readonly timeoutMs?: number;
}

const NOT_TAKEN_OVER = "it could not be taken over after a restart of the host's daemon";
const SIGKILL = 9;
/** What a stop sends when nothing else is said. */
const DEFAULT_SIGNAL = "SIGINT";
/** The same, for an image whose stop signal is no signal of Linux. */
const SIGINT = 2;

/** One stop of a machine: signal, grace, SIGKILL, and at last the VM itself. */
export class StopOperation {
  readonly #runtime: MachineRuntime;
  #options: StopOptions;
  #hasBegun = false;
  /** Set by a second stop: SIGKILL follows no later than this. */
  #killAtMs = Number.POSITIVE_INFINITY;
  #hurried = new AbortController();

  constructor(runtime: MachineRuntime, options: StopOptions) {
    this.#runtime = runtime;
    this.#options = options;
  }

  /**
   * Stops the machine, if it runs, and resolves when its process has ended and that is visible.
   *
   * @throws Fault DISK_FULL when the intent could not be stored: nothing has been done then
   */
  async run(): Promise<Machine> {
    const runtime = this.#runtime;
    const stop = pendingStop(runtime, this.#options);
    const machine = await runtime.intend((now, at) =>
      now.state === "started" ? stopping(now, stop, at) : undefined,
    );
    // A start that nobody is at any more: its VM could not be taken over after a restart.
    if (machine.state === "starting" && machine.vmId !== undefined)
      await runtime.giveUp(machine.vmId, NOT_TAKEN_OVER);
    return this.#carryOut();
  }

  /** Goes on with a stop that an earlier life of hostd began. */
  resume(): Promise<Machine> {
    return this.#carryOut();
  }

  /** A second stop: its signal is sent as well, and whichever grace ends first counts. Not stored: a restart goes back to the first. */
  escalate(options: StopOptions): void {
    const runtime = this.#runtime;
    if (!this.#hasBegun) {
      this.#options = { ...this.#options, ...options };
      return;
    }
    const asked = pendingStop(runtime, options);
    if (runtime.vm && options.signal) send(runtime, runtime.vm, asked.signal);
    this.#killAtMs = Math.min(this.#killAtMs, asked.killAtMs);
    const before = this.#hurried;
    this.#hurried = new AbortController();
    before.abort();
  }

  async #carryOut(): Promise<Machine> {
    const runtime = this.#runtime;
    const { state, vmId, stop } = runtime.machine;
    this.#hasBegun = true;
    if (state !== "stopping" || vmId === undefined) return runtime.machine;
    const { vm } = runtime;
    if (!vm) {
      await runtime.giveUp(vmId, NOT_TAKEN_OVER);
      return runtime.machine;
    }
    send(runtime, vm, stop?.signal ?? SIGKILL);
    if (!(await this.#endsInGrace(stop?.killAtMs ?? 0))) await end(runtime, vm);
    return runtime.machine;
  }

  async #endsInGrace(killAtMs: number): Promise<boolean> {
    const { clock } = this.#runtime.host;
    for (;;) {
      const left = Math.min(killAtMs, this.#killAtMs) - clock.now();
      if (left <= 0) return endsWithin(0, this.#runtime.ended);
      const { signal } = this.#hurried;
      if (await endsWithin(left, this.#runtime.ended, signal)) return true;
    }
  }
}

/** Ends a VM's process with SIGKILL, and the VM when even that has no answer in time. Resolves when the end is noted. */
export async function end(runtime: MachineRuntime, vm: Vm): Promise<void> {
  send(runtime, vm, SIGKILL);
  if (await endsWithin(runtime.host.limits.killMs, runtime.ended)) return;
  runtime.host.log.warn("a guest did not answer to SIGKILL", { machine_id: runtime.id, vm_id: vm.id });
  await runtime.giveUp(vm.id, "it did not answer to SIGKILL");
}

/** A guest that does not take the signal is found out by the grace, so nobody waits for the sending. */
function send(runtime: MachineRuntime, vm: Vm, signal: number): void {
  vm.signal(signal).catch((error: unknown) => {
    runtime.host.log.warn("could not signal a process", {
      machine_id: runtime.id,
      vm_id: vm.id,
      signal,
      error,
    });
  });
}

/** What the request says, else the machine's configuration, else its image, else SIGINT and the host's grace. */
function pendingStop(runtime: MachineRuntime, options: StopOptions): PendingStop {
  const { machine, host } = runtime;
  const { stop } = machine.spec.config;
  const name = options.signal || stop.signal || machine.spec.image?.config.stopSignal || DEFAULT_SIGNAL;
  const timeoutMs = options.timeoutMs ?? stop.timeoutMs ?? host.limits.graceMs;
  return { signal: signalNumber(name) ?? SIGINT, killAtMs: host.clock.now() + timeoutMs };
}
