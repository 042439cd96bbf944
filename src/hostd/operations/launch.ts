import { Fault } from "../../lib/faults/fault.ts";
import { onAbort } from "../../lib/runtime/abort.ts";
import { endsWithin, TimeLimit } from "../../lib/runtime/wait.ts";
import { refuseWhileDraining } from "../availability/scheduling.ts";
import { startCancelled, started, startFailed, startInterrupted, starting } from "../machines/change.ts";
import { type Host, spanAttribute } from "../machines/host.ts";
import type { Machine } from "../machines/machine.ts";
import type { MachineState } from "../machines/states.ts";
import { LaunchError, type Vm, type Workload } from "../vmm/vmm.ts";
import { imageCommand } from "./image-command.ts";
import type { MachineRuntime } from "./machine-runtime.ts";

/** How a start went. */
export interface StartResult {
  readonly machine: Machine;
  readonly previous: MachineState;
  /** It was started already, and nothing was done. */
  readonly already: boolean;
  readonly startPath: string;
}

/** How long a launch that has been told to give up may take to do so. */
const ABORT_GRACE_MS = 5_000;
/** How long a start waits for VMs that are being destroyed to give back what it needs. */
const TEARDOWN_WAIT_MS = 5_000;
/** How long the answer to a failed start waits for the failure to be on disk. */
const FAILURE_WAIT_MS = 1_000;

/**
 * Starts a machine: admits it, stores the intent while a VM is got, runs the machine's program in it, notes the outcome.
 *
 * One write is waited for: the intent, with the VM's id. The outcome is not: whatever a restarted hostd finds of that VM says what
 * became of the start, so the answer need not wait for the disk a second time.
 *
 * The write goes on beside the claim or boot of a VM, and the VMM waits for it before the guest is told to run anything. So a program that
 * DISK_FULL says has not run, has not; and a VM that a crash leaves before the write is one that has run nothing and that no machine has,
 * which the next hostd destroys. A sweep meanwhile knows its id from `Resident.launching`.
 *
 * @param signal aborts, with a Fault, when the start is called off
 * @throws Fault HOST_DRAINING, INSUFFICIENT_CAPACITY, START_QUEUE_FULL, DISK_FULL: the machine is as it was. EXEC_FAILED, START_FAILED,
 *   START_TIMEOUT: it is `failed`. The fault of `signal`: it is as it was, or `stopped`
 */
export async function launch(
  runtime: MachineRuntime,
  watchMs: number,
  signal: AbortSignal,
): Promise<StartResult> {
  const { host, id } = runtime;
  const previous = runtime.machine.state;
  return host.spans.span("hostd.start", { [spanAttribute.machineId]: id }, async (set) => {
    const vmId = host.ids.vm(id);
    const release = await host.spans.span("hostd.admit", {}, (note) => admit(runtime, vmId, signal, note));
    try {
      const plan = await host.spans.span("hostd.ports", {}, () => makePlan(runtime, vmId, signal));
      runtime.launching = vmId;
      const stored = host.spans.span("hostd.store", {}, () => storeIntent(runtime, plan));
      const vm = await bringUp(runtime, plan, stored, watchMs, signal);
      set(spanAttribute.startPath, vm.startPath);
      const machine = await outcome(runtime, vm);
      return { machine, previous, already: false, startPath: vm.startPath };
    } finally {
      runtime.launching = undefined;
      release();
    }
  });
}

/** Admits the VM's CPU and memory and waits for a slot, with a warm VM if there is one. Returns what releases the slot. */
async function admit(
  runtime: MachineRuntime,
  vmId: string,
  signal: AbortSignal,
  note: (name: string, value: number) => void,
): Promise<() => void> {
  const { host, id, machine } = runtime;
  refuseWhileDraining(host.scheduling, host.number);
  if (host.store.trouble) throw host.store.trouble;
  await awaitLastVm(runtime);
  signal.throwIfAborted();
  await admitVm(host, id, vmId);
  try {
    note(spanAttribute.queueLength, host.starts.length);
    const since = host.clock.monotonicMs();
    const { org, resources } = machine.spec;
    const reserveWarm = () => host.vmm.reserveWarm?.(vmId, resources) ?? false;
    const release = await host.starts.enter(org, signal, reserveWarm);
    note(spanAttribute.queueMs, host.clock.monotonicMs() - since);
    return release;
  } catch (err) {
    host.ledger.releaseVm(id, vmId);
    throw err;
  }
}

/**
 * Waits until the machine's last VM is destroyed when the next one needs its ports, or would need memory that warm VMs have. Otherwise
 * the two may be there at once: the intent of this start makes the end of the last one durable.
 */
async function awaitLastVm(runtime: MachineRuntime): Promise<void> {
  const { host, id, machine } = runtime;
  if (!host.teardowns.has(id) || (machine.ports.length === 0 && host.ledger.hasSpare(id))) return;
  if (await endsWithin(TEARDOWN_WAIT_MS, runtime.cleared())) return;
  // A VM whose end cannot be stored is kept.
  if (host.store.trouble) throw host.store.trouble;
  throw startFailedFault("the machine's last VM cannot be removed", "teardown");
}

/** Waits for VMs that are being destroyed, which takes milliseconds, when there is no room beside them. */
async function admitVm(host: Host, id: string, vmId: string): Promise<void> {
  const deadline = host.clock.monotonicMs() + TEARDOWN_WAIT_MS;
  for (;;) {
    try {
      return host.ledger.admitVm(id, vmId);
    } catch (err) {
      const left = deadline - host.clock.monotonicMs();
      if (host.teardowns.size === 0 || left <= 0) throw err;
      host.store.flush();
      await endsWithin(left, host.teardowns.any());
    }
  }
}

/** What a start is going to use. */
interface Plan {
  readonly vmId: string;
  readonly ports: readonly number[];
}

async function makePlan(runtime: MachineRuntime, vmId: string, signal: AbortSignal): Promise<Plan> {
  const { host, machine } = runtime;
  let { ports } = machine;
  try {
    ports = await host.ports.confirm(machine.spec.config.services, ports);
    signal.throwIfAborted();
    return { vmId, ports };
  } catch (err) {
    takeBackPorts(runtime, ports);
    runtime.discard(vmId);
    throw err;
  }
}

async function storeIntent(runtime: MachineRuntime, { vmId, ports }: Plan): Promise<void> {
  const traceId = runtime.host.spans.traceId();
  await runtime.intend((now, at) => starting(now, { vmId, ports, traceId }, at));
}

/** The machine keeps the ports that it had before a start that is not to be. */
function takeBackPorts({ host, machine }: MachineRuntime, ports: readonly number[]): void {
  host.ports.release(ports);
  host.ports.restore(machine.ports);
}

/** @param stored the intent's write, which is under way */
async function bringUp(
  runtime: MachineRuntime,
  { vmId, ports }: Plan,
  stored: Promise<void>,
  watchMs: number,
  signal: AbortSignal,
): Promise<Vm> {
  const { host } = runtime;
  using limit = new TimeLimit(host.limits.launchMs, signal).unref();
  // There is no use in a VM then.
  stored.catch((err: unknown) => limit.abort(err));
  let program = "";
  try {
    return await host.spans.span("hostd.acquire", {}, async (set) => {
      const work = workload({ ...runtime.machine, ports }, watchMs);
      program = work.argv[0] ?? "";
      const vm = await launchOrGiveUp(runtime, vmId, work, stored, limit.signal);
      set(spanAttribute.startPath, vm.startPath);
      for (const phase of vm.phases) host.spans.record(phase);
      return vm;
    });
  } catch (err) {
    runtime.discard(vmId);
    try {
      await stored;
    } catch (refusal) {
      takeBackPorts(runtime, ports);
      throw refusal;
    }
    if (signal.aborted) {
      await runtime.note(startCancelled);
      throw signal.reason;
    }
    if (host.closing.aborted) {
      await runtime.note(startInterrupted);
      throw new Fault(
        "UNAVAILABLE",
        "START_FAILED",
        "the host's daemon is shutting down",
        {},
        { cause: err },
      );
    }
    const fault = toFault(err, program, limit.isOver, host.limits.launchMs);
    const detail = err instanceof LaunchError ? `: ${err.message}` : "";
    const { durable } = await runtime.note((machine, at) =>
      startFailed(machine, fault.reason, `${fault.message}${detail}`, at),
    );
    // Unlike a start that succeeded, a failed one leaves nothing behind that remembers it.
    host.store.flush();
    await endsWithin(FAILURE_WAIT_MS, durable);
    throw fault;
  }
}

/** The outcome: the process runs, or has run and ended within the time it was to be watched. */
async function outcome(runtime: MachineRuntime, vm: Vm): Promise<Machine> {
  await runtime.note((machine, at) => started(machine, vm.startPath, at));
  runtime.take(vm);
  const hasEnded = (await Promise.race([vm.exited, undefined])) !== undefined;
  if (hasEnded) await runtime.ended;
  return runtime.machine;
}

/** A VMM that does not obey its signal must not keep the machine in `starting` for ever. */
async function launchOrGiveUp(
  runtime: MachineRuntime,
  vmId: string,
  work: Workload,
  stored: Promise<void>,
  signal: AbortSignal,
): Promise<Vm> {
  const { host, id, machine } = runtime;
  const { cpus, memoryMb } = machine.spec.resources;
  const sink = host.logs.sink(id);
  const request = { vmId, shape: { cpus, memoryMb }, workload: work, sink, stored };
  const launching = host.vmm.launch(request, signal);
  const noAnswer = Promise.withResolvers<never>();
  let timer: NodeJS.Timeout | undefined;
  using _ = onAbort(signal, () => {
    const message = "the VMM did not answer to being told to give up";
    const giveUp = () => noAnswer.reject(new LaunchError("timeout", "no_answer", message));
    timer = setTimeout(giveUp, ABORT_GRACE_MS).unref();
  });
  // A VM that comes up after all is nobody's: the sweep destroys it.
  launching.catch(() => {});
  try {
    return await Promise.race([launching, noAnswer.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function workload(machine: Machine, watchMs: number): Workload {
  const { image, config } = machine.spec;
  if (!image) throw new Error(`machine ${machine.id} is ${machine.state} and has no image`);
  return {
    rootfs: image.rootfs,
    ...imageCommand(image.config, config.init, config.env),
    hostname: machine.id,
    ports: config.services.flatMap(({ protocol, internalPort }, index) => {
      const hostPort = machine.ports[index];
      return hostPort === undefined
        ? []
        : [{ protocol, hostAddress: "127.0.0.1", hostPort, guestPort: internalPort }];
    }),
    watchMs,
  };
}

function toFault(err: unknown, program: string, isLate: boolean, launchMs: number): Fault {
  if (err instanceof Fault) return err;
  if (err instanceof LaunchError && err.kind === "exec") return execFailed(err, program);
  if (isLate || (err instanceof LaunchError && err.kind === "timeout")) {
    const message = `the process did not run within ${launchMs} ms`;
    return new Fault(
      "DEADLINE_EXCEEDED",
      "START_TIMEOUT",
      message,
      { timeout_ms: String(launchMs) },
      { cause: err },
    );
  }
  const why = err instanceof LaunchError ? err.reason : "vmm";
  return startFailedFault("no virtual machine could be brought up", why, err);
}

const EXEC_WHY: Readonly<Record<string, string>> = {
  not_found: "there is no such file in the image",
  not_executable: "it is not executable",
  bad_format: "it is not a program this machine can run",
  no_such_user: "the user it is to run as is not in the image",
  bad_working_dir: "its working directory cannot be entered",
};

function execFailed(err: LaunchError, program: string): Fault {
  const why = EXEC_WHY[err.reason] ?? err.reason;
  const facts = { path: program, why: err.reason };
  return new Fault("FAILED_PRECONDITION", "EXEC_FAILED", `${program} could not be run: ${why}`, facts, {
    cause: err,
  });
}

function startFailedFault(message: string, why: string, cause?: unknown): Fault {
  return new Fault("INTERNAL", "START_FAILED", message, { why }, { cause });
}
