import { readdirSync } from "node:fs";
import { PhaseLog } from "../../phase-log.ts";
import type { Shape } from "../../vmm.ts";
import { connectGuest } from "../guest-channel/connect-guest.ts";
import { GuestVm } from "../guest-channel/guest-vm.ts";
import type { ProcessId } from "../process/process-id.ts";
import { type QemuHost, setThreadPriority, startQemu, type VmPlan } from "../process/start-qemu.ts";
import { cloneTemplate, type Template } from "./template.ts";
import { warmUp } from "./warm-up.ts";

/** A VM that has booted, has been warmed up, and is paused until a machine gets it. */
export interface WarmVm {
  readonly shape: Shape;
  readonly vm: GuestVm;
}

/** The first translates nearly all code, the second much of the rest. More would save no time. */
const WARM_UPS = 2;

/** Makes a warm VM at low priority. After a failure the caller removes it. */
export async function makeWarmVm(
  host: QemuHost,
  { id, shape, rootfs }: Pick<VmPlan, "id" | "shape" | "rootfs">,
  template: Template | undefined,
  signal: AbortSignal,
): Promise<WarmVm> {
  const { dirs } = host;
  const plan: VmPlan = { id, shape, rootfs, startPath: "warm", isBackground: true };
  const phases = new PhaseLog();
  const running = template
    ? await cloneTemplate(host, plan, template, signal, phases)
    : await startQemu(host, plan, signal, phases);
  const { qmp, qemu, lifetime } = running;
  if (template) await qmp.execute("cont");
  const agent = await connectGuest(dirs.runDir(id), running);
  for (let count = 0; count < WARM_UPS; count++) await warmUp(agent, lifetime);
  const sink = { onLog() {} };
  const vm = new GuestVm({ id, startPath: "warm", dirs, qmp, sink, notBeforeUs: 0 }, agent);
  await qmp.execute("stop");
  restorePriority(qemu);
  return { shape, vm };
}

function restorePriority({ pid }: ProcessId): void {
  setThreadPriority(pid, 0);
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) setThreadPriority(Number(thread), 0);
  } catch {
    // It has ended.
  }
}
