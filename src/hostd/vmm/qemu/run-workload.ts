import { randomBytes } from "node:crypto";
import type { PhaseLog } from "../phase-log.ts";
import { type LaunchRequest, untilStored } from "../vmm.ts";
import type { GuestVm } from "./guest-channel/guest-vm.ts";
import { runMessage } from "./guest-protocol/protocol.ts";
import { startFailure } from "./guest-protocol/start-failure.ts";

const ENTROPY_BYTES = 64;
const GUEST_PHASES: Readonly<Record<string, string>> = {
  kernel: "guest.boot",
  modules: "guest.modules",
  network: "guest.network",
  scratch: "guest.scratch",
  disk: "guest.disk",
  mount: "guest.mount",
};

/** Makes a waiting guest run a workload, once the start is stored, and waits until it does. */
export async function runWorkload(
  vm: GuestVm,
  { workload, stored }: LaunchRequest,
  signal: AbortSignal,
  phases: PhaseLog,
): Promise<void> {
  await untilStored(stored, signal);
  phases.mark("vmm.run");
  const state = await vm.run((nowUs) => runMessage(workload, nowUs, randomBytes(ENTROPY_BYTES)), signal);
  if (state.state === "failed") throw startFailure(state.failure, workload);
  markGuestPhases(vm, phases, ["disk", "mount"]);
  vm.startedAtUs = vm.toHost(state.execAtUs);
  phases.markAt("guest.exec", vm.startedAtUs, {
    "windhover.guest.clock_skew_us": phases.movedUs,
    ...(vm.clockErrorUs === undefined ? {} : { "windhover.guest.clock_error_us": vm.clockErrorUs }),
  });
  phases.mark("vmm.report");
  vm.phases = phases.all();
}

export function markGuestPhases(vm: GuestVm, phases: PhaseLog, names: readonly string[]): void {
  for (const { name, endUs } of vm.guest.phases) {
    const hostName = GUEST_PHASES[name];
    if (hostName !== undefined && names.includes(name)) phases.markAt(hostName, vm.toHost(endUs));
  }
}
