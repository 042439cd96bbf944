import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { PhaseLog } from "../../phase-log.ts";
import type { Shape, VmSink } from "../../vmm.ts";
import { requireProtocol } from "../cold-boot.ts";
import { Agent } from "../guest-channel/agent.ts";
import { GuestVm } from "../guest-channel/guest-vm.ts";
import { VM_FILES } from "../process/command-line.ts";
import type { ProcessId } from "../process/process-id.ts";
import type { Qmp } from "../process/qmp.ts";
import { type BootOptions, bringUp, prioritize, type RunningQemu } from "../process/start-qemu.ts";
import { connectIn } from "../process/unix-socket.ts";
import { restore, type Template } from "./template.ts";
import { warmUp } from "./warm-up.ts";

/** A VM that has booted and rehearsed, and stands still until a machine wants it. */
export interface WaitingVm {
  readonly id: string;
  readonly shape: Shape;
  readonly vm: GuestVm;
  readonly qmp: Qmp;
}

/** What making one takes besides. */
export interface WaitingOptions extends BootOptions {
  /** The root disk it rehearses with. */
  readonly warmUpDisk: string;
}

/** Begins the ids of VMs that no machine has. */
export const POOL_PREFIX = "pool-";
/** The emulator translates nearly all in the first and much of the rest in the second; more would take memory and save no time. */
const WARM_UPS = 2;
const SILENT: VmSink = { onLog() {} };

/** An id for a VM that no machine has. */
export function poolId(): string {
  return POOL_PREFIX + randomBytes(6).toString("hex");
}

/**
 * Makes a waiting VM, from a template when there is one, with as little claim to the CPU as can be. What it leaves behind when it fails
 * is the caller's to clear.
 */
export async function makeWaiting(
  options: WaitingOptions,
  id: string,
  shape: Shape,
  template: Template | undefined,
  signal: AbortSignal,
): Promise<WaitingVm> {
  const plan = { id, shape, startPath: "warm", rootfs: options.warmUpDisk, isBackground: true } as const;
  const phases = new PhaseLog(options.now);
  const running = template
    ? await restore(options, plan, template, signal, phases)
    : await bringUp(options, plan, signal, phases);
  const { qmp, qemu, alive } = running;
  if (template) await qmp.execute("cont");
  const agent = await meet(options, id, running);
  for (let count = 0; count < WARM_UPS; count++) await warmUp(agent, alive);
  const { dirs, now } = options;
  const vm = new GuestVm({ id, startPath: "warm", dirs, qmp, sink: SILENT, now, notBeforeUs: 0 }, agent);
  await qmp.execute("stop");
  escalate(qemu);
  return { id, shape, vm, qmp };
}

/** Begins the conversation with a guest that boots, or goes on. */
export async function meet(options: BootOptions, id: string, { qmp, alive }: RunningQemu): Promise<Agent> {
  const socket = await connectIn(options.dirs.runDir(id), VM_FILES.agent);
  const agent = new Agent(socket, { onState() {}, onLines() {} }, options.now);
  try {
    await agent.sync(0, alive);
    requireProtocol(agent.state?.protocol ?? 0);
    return agent;
  } catch (err) {
    agent.close();
    qmp.close();
    throw err;
  }
}

/** From now on it is as important as any other. */
function escalate({ pid }: ProcessId): void {
  prioritize(pid, 0);
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) prioritize(Number(thread), 0);
  } catch {
    // It has ended.
  }
}
