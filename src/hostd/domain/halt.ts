import { endsWithin } from "../../lib/runtime/wait.ts";
import type { Vm } from "../vmm/vmm.ts";
import { stopping } from "./change.ts";
import type { Machine, PendingStop } from "./machine.ts";
import type { Resident } from "./resident.ts";
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
export class Halt {
  readonly #resident: Resident;
  #options: StopOptions;
  #hasBegun = false;
  /** Set by a second stop: SIGKILL follows no later than this. */
  #killAtMs = Number.POSITIVE_INFINITY;
  #hurried = new AbortController();

  constructor(resident: Resident, options: StopOptions) {
    this.#resident = resident;
    this.#options = options;
  }

  /**
   * Stops the machine, if it runs, and resolves when its process has ended and that is visible.
   *
   * @throws Fault DISK_FULL when the intent could not be stored: nothing has been done then
   */
  async run(): Promise<Machine> {
    const resident = this.#resident;
    const stop = pendingStop(resident, this.#options);
    const machine = await resident.intend((now, at) =>
      now.state === "started" ? stopping(now, stop, at) : undefined,
    );
    // A start that nobody is at any more: its VM could not be taken over after a restart.
    if (machine.state === "starting" && machine.vmId !== undefined)
      await resident.giveUp(machine.vmId, NOT_TAKEN_OVER);
    return this.#carryOut();
  }

  /** Goes on with a stop that an earlier life of hostd began. */
  resume(): Promise<Machine> {
    return this.#carryOut();
  }

  /** A second stop: its signal is sent as well, and whichever grace ends first counts. Not stored: a restart goes back to the first. */
  hurry(options: StopOptions): void {
    const resident = this.#resident;
    if (!this.#hasBegun) {
      this.#options = { ...this.#options, ...options };
      return;
    }
    const asked = pendingStop(resident, options);
    if (resident.vm && options.signal) send(resident, resident.vm, asked.signal);
    this.#killAtMs = Math.min(this.#killAtMs, asked.killAtMs);
    const before = this.#hurried;
    this.#hurried = new AbortController();
    before.abort();
  }

  async #carryOut(): Promise<Machine> {
    const resident = this.#resident;
    const { state, vmId, stop } = resident.machine;
    this.#hasBegun = true;
    if (state !== "stopping" || vmId === undefined) return resident.machine;
    const { vm } = resident;
    if (!vm) {
      await resident.giveUp(vmId, NOT_TAKEN_OVER);
      return resident.machine;
    }
    send(resident, vm, stop?.signal ?? SIGKILL);
    if (!(await this.#endsInGrace(stop?.killAtMs ?? 0))) await end(resident, vm);
    return resident.machine;
  }

  async #endsInGrace(killAtMs: number): Promise<boolean> {
    const { clock } = this.#resident.host;
    for (;;) {
      const left = Math.min(killAtMs, this.#killAtMs) - clock.now();
      if (left <= 0) return endsWithin(0, this.#resident.ended);
      const { signal } = this.#hurried;
      if (await endsWithin(left, this.#resident.ended, signal)) return true;
    }
  }
}

/** Ends a VM's process with SIGKILL, and the VM when even that has no answer in time. Resolves when the end is noted. */
export async function end(resident: Resident, vm: Vm): Promise<void> {
  send(resident, vm, SIGKILL);
  if (await endsWithin(resident.host.limits.killMs, resident.ended)) return;
  resident.host.log.warn("a guest did not answer to SIGKILL", { machine_id: resident.id, vm_id: vm.id });
  await resident.giveUp(vm.id, "it did not answer to SIGKILL");
}

/** A guest that does not take the signal is found out by the grace, so nobody waits for the sending. */
function send(resident: Resident, vm: Vm, signal: number): void {
  vm.signal(signal).catch((error: unknown) => {
    resident.host.log.warn("could not signal a process", {
      machine_id: resident.id,
      vm_id: vm.id,
      signal,
      error,
    });
  });
}

/** What the request says, else the machine's configuration, else its image, else SIGINT and the host's grace. */
function pendingStop(resident: Resident, options: StopOptions): PendingStop {
  const { machine, host } = resident;
  const { stop } = machine.spec.config;
  const name = options.signal || stop.signal || machine.spec.image?.config.stopSignal || DEFAULT_SIGNAL;
  const timeoutMs = options.timeoutMs ?? stop.timeoutMs ?? host.limits.graceMs;
  return { signal: signalNumber(name) ?? SIGINT, killAtMs: host.clock.now() + timeoutMs };
}
