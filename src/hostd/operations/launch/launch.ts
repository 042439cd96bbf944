import { trace } from "@opentelemetry/api";
import { Fault } from "../../../lib/faults/fault.ts";
import { type Attributes, attribute, recordSpan, type Span, withSpan } from "../../../lib/otel/tracing.ts";
import { abortable } from "../../../lib/runtime/abort.ts";
import { endsWithin, TimeLimit } from "../../../lib/runtime/wait.ts";
import type { Ports } from "../../capacity/ports.ts";
import { startCancelled, started, startFailed, startInterrupted, starting } from "../../machines/change.ts";
import type { Ids } from "../../machines/ids.ts";
import type { Caller, Machine, StartCause } from "../../machines/machine.ts";
import { usableSnapshot } from "../../machines/snapshot.ts";
import { LaunchError, type LaunchRequest, type Vm, type Vmm, type Workload } from "../../vmm/vmm.ts";
import type { MachineRuntime } from "../machine-runtime.ts";
import { type SinkParts, sinkOf } from "../machine-sink.ts";
import { operationAttributes } from "../operation-attributes.ts";
import type { Guard, StartResult } from "../requests/request.ts";
import { type AdmissionParts, admit } from "./admission.ts";
import { launchFault } from "./launch-faults.ts";
import { workload } from "./workload.ts";

export type LaunchParts = AdmissionParts &
  SinkParts & {
    readonly vmm: Pick<Vmm, "launch">;
    readonly ports: Pick<Ports, "confirm" | "release" | "restore">;
    readonly ids: Pick<Ids, "vm">;
    /** `launchMs`: from the slot in the start queue to the process exec'ed. */
    readonly limits: { readonly launchMs: number };
    readonly closing: AbortSignal;
    /** For spans. */
    readonly hostName?: string;
  };

/** Options of a launch. */
export interface LaunchOptions {
  /** Absent: a call to start it. */
  readonly cause?: StartCause | undefined;
  /** Called before the intent is stored. */
  readonly guard?: Guard | undefined;
  /** Who asked for it. */
  readonly caller?: Caller | undefined;
  /** Does not go on where a suspend has saved it. */
  readonly isAnew?: boolean;
}

interface Plan extends LaunchOptions {
  readonly spanId: string;
  readonly vmId: string;
  readonly ports: readonly number[];
}

/** Why a machine is started again. A schedule begins anew. */
const GOING_ON: ReadonlySet<StartCause | undefined> = new Set<StartCause>(["policy", "restart", "update"]);

/** Time that an aborted launch has to end. */
const ABORT_LIMIT_MS = 5_000;

/**
 * Starts a machine: admits it, stores the intent while a VM is acquired, runs the program, notes the outcome.
 *
 * Only the intent is waited for, and the guest runs nothing before it is stored: after a fault DISK_FULL the program has not run, and
 * a VM that a crash leaves without intent is destroyed by the next hostd. The outcome is not waited for, because a restarted hostd
 * learns it from the VM.
 *
 * @param signal aborts, with a Fault, when the start is cancelled
 * @throws Fault of the guard, HOST_DRAINING, INSUFFICIENT_CAPACITY, START_QUEUE_FULL, DISK_FULL: the machine is unchanged. EXEC_FAILED, START_FAILED,
 *   START_TIMEOUT: it is `failed`. The fault of `signal`: it is unchanged, or `stopped`
 */
export async function launch(
  runtime: MachineRuntime,
  parts: LaunchParts,
  signal: AbortSignal,
  options: LaunchOptions = {},
): Promise<StartResult> {
  const { id } = runtime;
  const previous = runtime.machine.state;
  // A start by the policy, a restart or an update links to the start before it.
  const links = GOING_ON.has(options.cause) ? [lastStart(runtime.machine)] : [];
  const start = async (span: Span): Promise<StartResult> => {
    if (span.isRecording()) span.setAttributes(startAttributes(runtime.machine, parts, options));
    const vmId = parts.ids.vm(id);
    const release = await withSpan("hostd.admit", {}, (admitSpan) =>
      admit(runtime, parts, vmId, signal, admitSpan, options.isAnew),
    );
    try {
      const confirm = () => confirmPorts(runtime, parts, vmId, signal);
      const hasPorts = runtime.machine.spec.config.services.length > 0;
      const ports = await (hasPorts ? withSpan("hostd.ports", {}, confirm) : confirm());
      const plan = { ...options, vmId, ports, spanId: span.spanContext().spanId };
      runtime.launching = vmId;
      const stored = withSpan("hostd.store", {}, () => storeIntent(runtime, plan));
      const vm = await bringUp(runtime, parts, plan, stored, signal);
      span.setAttribute(attribute.startPath, vm.startPath);
      if (vm.notFaster !== undefined) span.setAttribute(attribute.notFaster, vm.notFaster);
      await runtime.note((machine, at) => started(machine, vm.startPath, at, vm.resumeFailure));
      runtime.take(vm);
      return { machine: runtime.machine, previous, already: false, startPath: vm.startPath };
    } finally {
      runtime.launching = undefined;
      release();
    }
  };
  return withSpan("hostd.start", { [attribute.machineId]: id }, start, { links });
}

/** The traceparent of a machine's last start; empty when there was none. */
function lastStart({ lastStartTraceId, lastStartSpanId = "" }: Machine): string {
  return lastStartSpanId === "" ? "" : `00-${lastStartTraceId}-${lastStartSpanId}-01`;
}

function startAttributes(
  machine: Machine,
  { starts, hostName }: LaunchParts,
  { cause }: LaunchOptions,
): Attributes {
  return {
    ...operationAttributes(machine, hostName, starts.running + starts.length),
    [attribute.startCause]: cause ?? "call",
  };
}

async function confirmPorts(
  runtime: MachineRuntime,
  parts: LaunchParts,
  vmId: string,
  signal: AbortSignal,
): Promise<readonly number[]> {
  let { ports } = runtime.machine;
  try {
    ports = await parts.ports.confirm(runtime.machine.spec.config.services, ports);
    signal.throwIfAborted();
    return ports;
  } catch (err) {
    restorePorts(runtime, parts, ports);
    runtime.tearDown(vmId);
    throw err;
  }
}

/** Gives the machine back the ports that it had before the start. */
function restorePorts({ machine }: MachineRuntime, parts: LaunchParts, ports: readonly number[]): void {
  parts.ports.release(ports);
  parts.ports.restore(machine.ports);
}

async function storeIntent(runtime: MachineRuntime, plan: Plan): Promise<void> {
  const traceId = trace.getActiveSpan()?.spanContext().traceId ?? "";
  await runtime.intend((machine, at) => {
    plan.guard?.(machine);
    return starting(machine, { ...plan, traceId }, at);
  });
}

async function bringUp(
  runtime: MachineRuntime,
  parts: LaunchParts,
  plan: Plan,
  stored: Promise<void>,
  signal: AbortSignal,
): Promise<Vm> {
  const { launchMs } = parts.limits;
  using limit = new TimeLimit(launchMs, signal).unref();
  // Without the intent the VM may run nothing.
  stored.catch((err: unknown) => limit.abort(err));
  let program = "";
  try {
    return await withSpan("hostd.acquire", {}, async (span) => {
      const work = workload(runtime.machine, plan.ports);
      program = work.argv[0] ?? "";
      let vm: Vm;
      try {
        vm = await launchOrAbandon(runtime, parts, plan, work, stored, limit.signal);
      } catch (err) {
        if (err instanceof LaunchError) for (const phase of err.phases) recordSpan(phase);
        throw err;
      }
      span.setAttribute(attribute.startPath, vm.startPath);
      for (const phase of vm.phases) recordSpan(phase);
      return vm;
    });
  } catch (err) {
    runtime.tearDown(plan.vmId);
    try {
      await stored;
    } catch (refusal) {
      restorePorts(runtime, parts, plan.ports);
      throw refusal;
    }
    if (signal.aborted) {
      await runtime.note(startCancelled);
      throw signal.reason;
    }
    if (parts.closing.aborted) {
      await runtime.note(startInterrupted);
      const message = "the host's daemon is shutting down";
      throw new Fault("UNAVAILABLE", "START_FAILED", message, {}, { cause: err });
    }
    const fault = launchFault(err, program, limit.isOver, launchMs);
    await noteFailure(runtime, fault, err);
    throw fault;
  }
}

async function noteFailure(runtime: MachineRuntime, fault: Fault, err: unknown): Promise<void> {
  const hasMore = err instanceof LaunchError && !fault.message.includes(err.message);
  const message = hasMore ? `${fault.message}: ${err.message}` : fault.message;
  await runtime.note((machine, at) => startFailed(machine, fault.reason, message, at));
  // No VM is left from which a restarted hostd could learn of the failure.
  await runtime.untilDurable();
}

/** Returns what a start goes on with: what a suspend has saved, or the snapshot of the version. */
function resumeFrom(machine: Machine, isAnew = false): Pick<LaunchRequest, "resumeFrom"> {
  if (machine.saved && !isAnew) return { resumeFrom: { name: machine.saved.vmId, isKept: false } };
  const snapshot = usableSnapshot(machine);
  return snapshot ? { resumeFrom: { name: snapshot.name, isKept: true } } : {};
}

/** Launches a VM. When the VMM does not end an aborted launch in time, abandons it: the sweep destroys what comes of it. */
async function launchOrAbandon(
  { machine }: MachineRuntime,
  parts: LaunchParts,
  { vmId, isAnew }: Plan,
  work: Workload,
  stored: Promise<void>,
  signal: AbortSignal,
): Promise<Vm> {
  const { cpus, memoryMb } = machine.spec.resources;
  const request = {
    vmId,
    shape: { cpus, memoryMb },
    workload: work,
    sink: sinkOf(parts, machine),
    stored,
    ...resumeFrom(machine, isAnew),
  };
  const launching = parts.vmm.launch(request, signal);
  try {
    return await abortable(launching, signal);
  } catch (err) {
    if (!signal.aborted) throw err;
    if (await endsWithin(ABORT_LIMIT_MS, launching)) return await launching;
    throw new LaunchError("timeout", "no_answer", "the VMM did not end an aborted launch");
  }
}
