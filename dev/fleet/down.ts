import { setTimeout as delay } from "node:timers/promises";
import { awaitEnd, sendSignal } from "../../tools/lib/processes.ts";
import type { Layout } from "../settings/layout.ts";
import { type FleetLock, takeLock } from "../supervisor/lock.ts";
import { isSupervised, readState } from "../supervisor/state.ts";
import { endEverything, findLeftovers } from "../supervisor/sweep.ts";

/** Longer than stopping all parts takes. */
const SUPERVISOR_GRACE_MS = 90_000;
/** From the release of the lock to the end of the process. */
const EXIT_TIMEOUT_MS = 5_000;

/** Takes a fleet down, whatever is left of it. Returns whether there was anything. */
export async function takeDown(layout: Layout, say: (detail: string) => void): Promise<boolean> {
  let lock = await takeLock(layout.folder);
  const wasUp = lock === undefined;
  lock ??= await stopSupervisor(layout, say);
  try {
    const { vms, postgres, others } = findLeftovers(layout);
    const left = vms.length + postgres.length + others.length;
    if (left > 0) say(`ending ${left} processes that were left`);
    await endEverything(layout);
    return wasUp || left > 0;
  } finally {
    await lock.release();
  }
}

async function stopSupervisor(layout: Layout, say: (detail: string) => void): Promise<FleetLock> {
  const deadline = Date.now() + SUPERVISOR_GRACE_MS;
  say("stopping machines and services");
  for (let asked = 0; ; ) {
    const state = readState(layout.stateFile);
    const supervisor = state !== undefined && isSupervised(state) ? state.supervisor : undefined;
    // A new one writes its number a moment later.
    if (supervisor !== undefined && supervisor.pid !== asked) {
      sendSignal(supervisor, "SIGTERM");
      asked = supervisor.pid;
    }
    if (Date.now() > deadline) {
      if (supervisor === undefined) throw new Error(`another process holds the fleet in ${layout.folder}`);
      sendSignal(supervisor, "SIGKILL");
      await awaitEnd([supervisor], 5_000);
    }
    const lock = await takeLock(layout.folder);
    if (lock !== undefined) {
      if (supervisor !== undefined) await awaitEnd([supervisor], EXIT_TIMEOUT_MS);
      return lock;
    }
    await delay(100);
  }
}
