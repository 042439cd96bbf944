import { Ledger } from "../../../src/hostd/capacity/ledger.ts";
import type { Resources } from "../../../src/hostd/machines/version.ts";
import { hasReason } from "../../../src/lib/faults/fault.ts";
import { ManualClock } from "../manual-clock.ts";

export const CAPACITY = { cpus: 4, memoryMb: 1_024, diskMb: 4_096 };
export const GRACE_MS = 1_000;

/** Makes a ledger and its clock. */
export function ledgerOf(capacity: Resources = CAPACITY, incarnation = 1) {
  const clock = new ManualClock();
  return { clock, ledger: new Ledger({ capacity, incarnation, graceMs: GRACE_MS, clock }) };
}

/** Returns the reason of the fault of `work`; "" without a fault. */
export function reasonOf(work: () => unknown): string {
  try {
    work();
    return "";
  } catch (err) {
    return hasReason(err, (err as { reason: string }).reason) ? err.reason : String(err);
  }
}
