import { attribute, withSpan } from "../../../lib/otel/tracing.ts";
import type { Clock } from "../../../lib/runtime/clock.ts";
import { logger } from "../../../lib/runtime/log.ts";
import { endsWithin } from "../../../lib/runtime/wait.ts";
import { signalNumber } from "../../../lib/signals/signals.ts";
import { stoppedWithoutProcess, stopping } from "../../machines/change.ts";
import type { Change, Machine, PendingStop, StopReason } from "../../machines/machine.ts";
import { MAX_STOP_MS } from "../../machines/machine-config.ts";
import type { Stamp } from "../../machines/stamp.ts";
import type { Vm } from "../../vmm/vmm.ts";
import type { MachineRuntime } from "../machine-runtime.ts";
import { operationAttributes } from "../operation-attributes.ts";
import type { StopOptions } from "../requests/request.ts";
import type { UnderWay } from "../under-way.ts";

export interface StopParts {
  readonly clock: Clock;
  /** `graceMs`: default grace. `killMs`: from SIGKILL to the destruction of the VM. */
  readonly limits: { readonly graceMs: number; readonly killMs: number };
  /** For spans. */
  readonly hostName?: string;
  readonly stopsUnderWay: UnderWay;
}

const NOT_TAKEN_OVER = "it could not be taken over after a restart of the host's daemon";
const SIGKILL = 9;
const DEFAULT_SIGNAL = "SIGINT";
/** Sent instead of an image's stop signal that Linux does not have. */
const SIGINT = 2;

/** Makes the change that begins a stop; undefined when nothing is to be stopped. */
export type StopIntent = (
  machine: Machine,
  stop: PendingStop,
  at: Stamp,
  why?: StopReason,
) => Change | undefined;

/** One stop of a machine: signal, grace, SIGKILL, and the destruction of the VM. */
export class StopOperation {
  readonly #runtime: MachineRuntime;
  readonly #parts: StopParts;
  readonly #intent: StopIntent;
  readonly #options: StopOptions;
  /** By {@link escalate}, before the stop has begun. */
  #late: StopOptions | undefined;
  #hasBegun = false;
  /** The VM that it stops. */
  #vmId: string | undefined;
  /** Set by {@link escalate}: latest time of the SIGKILL, on the monotonic clock. */
  #killAtMs = Number.POSITIVE_INFINITY;
  #escalated = new AbortController();

  /** @param intent of what the stop is part of. Default: the machine is to be `stopped` */
  constructor(
    runtime: MachineRuntime,
    parts: StopParts,
    options: StopOptions,
    intent: StopIntent = intendStop,
  ) {
    this.#runtime = runtime;
    this.#parts = parts;
    this.#options = options;
    this.#intent = intent;
  }

  /**
   * Stops the machine, if it runs. Resolves when its process has ended.
   *
   * @throws Fault DISK_FULL: nothing was done
   */
  run(): Promise<Machine> {
    const { machine } = this.#runtime;
    const { hostName, stopsUnderWay } = this.#parts;
    const others = stopsUnderWay.count;
    const stop = withSpan("hostd.stop", { [attribute.machineId]: machine.id }, (span) => {
      if (span.isRecording()) span.setAttributes(operationAttributes(machine, hostName, others));
      return this.#run();
    });
    return stopsUnderWay.track(stop);
  }

  async #run(): Promise<Machine> {
    const runtime = this.#runtime;
    const stop = this.#pendingStop({ ...this.#options, ...this.#late });
    this.#late = undefined;
    const machine = await withSpan("hostd.store", {}, () =>
      runtime.intend((now, at) => this.#intent(now, stop, at, this.#options.why)),
    );
    // A restarted hostd could not take over the VM of this start.
    if (machine.state === "starting" && machine.vmId !== undefined)
      await runtime.abandonVm(machine.vmId, NOT_TAKEN_OVER);
    await this.resume();
    // Only notes say that it does not run. A restarted hostd must not start it again.
    if (machine.stop === undefined) await withSpan("hostd.store", {}, () => runtime.untilDurable());
    return runtime.machine;
  }

  /** Goes on with a stop whose intent is stored. */
  async resume(): Promise<Machine> {
    const runtime = this.#runtime;
    const { vmId, stop } = runtime.machine;
    this.#hasBegun = true;
    this.#vmId = vmId;
    if (stop === undefined || vmId === undefined) return runtime.machine;
    const { vm } = runtime;
    if (vm) {
      sendSignal(runtime, vm, stop.signal);
      // It came while the intent was being stored.
      if (this.#late) this.escalate(this.#late);
      const attributes = { "windhover.stop.signal": stop.signal };
      const endsInGrace = () => this.#endsInGrace(this.#monotonic(stop.killAtMs));
      if (!(await withSpan("hostd.grace", attributes, endsInGrace)))
        await withSpan("hostd.kill", {}, () => killVm(runtime, vm, this.#parts.limits.killMs));
    } else {
      await runtime.abandonVm(vmId, NOT_TAKEN_OVER);
    }
    return runtime.machine;
  }

  /**
   * Applies a second stop: sends its signal too, and shortens the grace. Not stored: a restarted
   * hostd resumes the first stop.
   */
  escalate(options: StopOptions): void {
    const runtime = this.#runtime;
    if (!this.#hasBegun) {
      this.#late = { ...this.#late, ...options };
      return;
    }
    const { signal, killAtMs } = this.#pendingStop(options);
    const { vm } = runtime;
    // The next VM is not its own.
    if (vm && vm.id === this.#vmId && options.signal) sendSignal(runtime, vm, signal);
    this.#killAtMs = Math.min(this.#killAtMs, this.#monotonic(killAtMs));
    const before = this.#escalated;
    this.#escalated = new AbortController();
    before.abort();
  }

  /** Converts a time of the wall clock, which may have been set since. */
  #monotonic(timeMs: number): number {
    const { clock } = this.#parts;
    return clock.monotonicMs() + Math.min(timeMs - clock.now(), MAX_STOP_MS);
  }

  async #endsInGrace(killAtMs: number): Promise<boolean> {
    for (;;) {
      const left = Math.min(killAtMs, this.#killAtMs) - this.#parts.clock.monotonicMs();
      if (left <= 0) return endsWithin(0, this.#runtime.ended);
      if (await endsWithin(left, this.#runtime.ended, this.#escalated.signal)) return true;
    }
  }

  /**
   * Takes signal and grace from the request, else the machine's configuration, else its image, else
   * the defaults.
   */
  #pendingStop(options: StopOptions): PendingStop {
    const { config, image } = this.#runtime.machine.spec;
    const name = options.signal || config.stop.signal || image?.config.stopSignal || DEFAULT_SIGNAL;
    const timeoutMs = options.timeoutMs ?? config.stop.timeoutMs ?? this.#parts.limits.graceMs;
    return { signal: signalNumber(name) ?? SIGINT, killAtMs: this.#parts.clock.now() + timeoutMs };
  }
}

function intendStop(machine: Machine, stop: PendingStop, at: Stamp, why?: StopReason): Change | undefined {
  switch (machine.state) {
    case "started":
    case "suspending":
      return stopping(machine, stop, at, why);
    case "created":
    case "failed":
    case "suspended":
    case "restarting":
    case "updating":
      return machine.vmId === undefined
        ? stoppedWithoutProcess(machine, at)
        : stopping(machine, stop, at, why);
    default:
      return undefined;
  }
}

/**
 * Sends SIGKILL, and destroys the VM when its process has not ended after `killMs`. Resolves when
 * the exit is noted.
 */
export async function killVm(runtime: MachineRuntime, vm: Vm, killMs: number): Promise<void> {
  sendSignal(runtime, vm, SIGKILL);
  if (await endsWithin(killMs, runtime.ended)) return;
  logger.warn("a guest did not react to SIGKILL", { machine_id: runtime.id, vm_id: vm.id });
  await runtime.abandonVm(vm.id, "it did not react to SIGKILL");
}

/** Does not wait: a guest that does not take the signal is killed after the grace. */
function sendSignal({ id }: MachineRuntime, vm: Vm, signal: number): void {
  vm.signal(signal).catch((error: unknown) => {
    logger.warn("could not signal a process", { machine_id: id, vm_id: vm.id, signal, error });
  });
}
