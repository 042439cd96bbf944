import { randomBytes } from "node:crypto";
import { endsWithin } from "../../../lib/runtime/wait.ts";
import type { PhaseLog } from "../phase-log.ts";
import { untilRecorded } from "../recorded.ts";
import { type Acquired, markGuestPhases } from "./cold-boot.ts";
import type { LaunchRequest } from "./fast-start-paths.ts";
import type { GuestVm } from "./guest-channel/guest-vm.ts";
import { runMessage } from "./guest-channel/protocol.ts";
import { startFailure } from "./guest-channel/start-failure.ts";

const ENTROPY_BYTES = 64;

/** Tells a waiting guest what to run, not before that has been recorded, and waits until it does. */
export async function runWorkload(
  { vm }: Acquired,
  { workload, ready }: Pick<LaunchRequest, "workload" | "ready">,
  signal: AbortSignal,
  phases: PhaseLog,
): Promise<void> {
  await untilRecorded(ready, signal);
  phases.mark("vmm.run");
  vm.run((nowUs) => runMessage(workload, nowUs, randomBytes(ENTROPY_BYTES)));
  const state = await vm.settled(signal);
  if (state.state === "failed") throw startFailure(state.failure, workload);
  markGuestPhases(vm, phases, ["disk", "mount"]);
  vm.startedAtUs = vm.toHost(state.execAtUs);
  phases.markAt("guest.exec", vm.startedAtUs);
  phases.mark("vmm.report");
  vm.phases = phases.all();
}

/** Watches the workload for a moment, so that one that ends at once is seen to. */
export async function settle(
  vm: GuestVm,
  watchMs: number,
  signal: AbortSignal,
  phases: PhaseLog,
): Promise<void> {
  if (watchMs <= 0) return;
  await endsWithin(watchMs, vm.exited, signal);
  phases.mark("vmm.watch");
  vm.phases = phases.all();
}
