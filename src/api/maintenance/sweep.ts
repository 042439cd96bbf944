import { ulid } from "ulid";
import { hasReason } from "../../lib/faults/fault.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { logger } from "../../lib/runtime/log.ts";
import type { HostEntry, HostTable } from "../hosts/host-table.ts";
import type { Hostd } from "../hosts/hostd.ts";
import type { MachineEvent } from "../machines/machine.ts";
import type { MachineStore, StoredMachine } from "../machines/machine-store.ts";
import type { CallLimits } from "../requests/caller.ts";
import { sweepRepairs, sweeps } from "./metrics.ts";
import { planSweep } from "./plan-sweep.ts";

/** An unknown machine younger than this is left alone. */
const GRACE_MS = 60_000;
/** Hosts that are compared at a time. */
const MAX_PARALLEL = 8;
const CALL_TIMEOUT_MS = 10_000;

export interface SweepParts {
  readonly table: HostTable;
  readonly hostd: Hostd;
  readonly machineStore: MachineStore;
  readonly clock: Clock;
}

/** Compares every host with the database and repairs the differences. Skips unreachable hosts. */
export async function sweep(parts: SweepParts, signal: AbortSignal): Promise<void> {
  const queue = [...parts.table.all()];
  const work = async () => {
    for (let host = queue.pop(); host && !signal.aborted; host = queue.pop()) {
      try {
        await sweepHost(parts, host, signal);
      } catch (error) {
        const isExpected = hasReason(error, "HOST_UNREACHABLE") || hasReason(error, "DATABASE_UNAVAILABLE");
        if (!isExpected) logger.warn("a host could not be swept", { host: host.number, error });
      }
    }
  };
  await Promise.all(Array.from({ length: MAX_PARALLEL }, work));
  sweeps.inc();
}

/**
 * The order of reads matters. A missing machine is in the database before the host is asked and
 * after, and the host has delivered all changes. An unknown machine is absent after the host was
 * asked: creates store a machine's id before its host gets it.
 */
async function sweepHost(parts: SweepParts, host: HostEntry, signal: AbortSignal): Promise<void> {
  const { hostd, machineStore, clock } = parts;
  const limits = { signal, remainingMs: CALL_TIMEOUT_MS };
  const before = await machineStore.ofHost(host.number);
  const onHost = await hostd.listMachines(host, limits);
  const { announced, isDelivered } = await hostd.getHost(host, limits);
  if (announced.identity !== host.identity) {
    logger.warn("a host's address answers with another identity", { host: host.number });
    return;
  }
  const after = await machineStore.withIds([...new Set([...before, ...onHost].map(({ id }) => id))]);
  const plan = planSweep(onHost, { before, after }, clock.now(), GRACE_MS);
  if (plan.isImplausible) {
    const facts = { host: host.number, unknown: plan.unknown.length, missing: plan.missing.length };
    logger.error("a host and the database differ too much to repair", facts);
    return;
  }
  for (const { id } of plan.unknown) {
    logger.warn("an unknown machine is destroyed", { machine_id: id, host: host.number });
    const target = { machineId: id, org: "", force: true, ignoreMissing: true, ignoreLease: true };
    await hostd.destroyMachine(host, target, limits);
    sweepRepairs.inc({ kind: "unknown" });
  }
  // Changes on their way may explain the other differences.
  if (!isDelivered) return;
  for (const { id } of plan.ahead) await applyWhole(parts, host, id, limits);
  for (const machine of plan.missing) await markMissing(parts, host, machine);
}

/** Stores a machine as its host has it, with the configuration, which the database may lack. */
async function applyWhole(
  { hostd, machineStore }: SweepParts,
  host: HostEntry,
  machineId: string,
  limits: CallLimits,
): Promise<void> {
  try {
    const machine = await hostd.getMachine(host, { machineId, org: "" }, limits);
    await machineStore.apply([machine], false);
    sweepRepairs.inc({ kind: "ahead" });
  } catch (err) {
    if (!hasReason(err, "MACHINE_NOT_FOUND")) throw err;
  }
}

async function markMissing(
  { machineStore, clock }: SweepParts,
  host: HostEntry,
  machine: StoredMachine,
): Promise<void> {
  const timeMs = clock.now();
  const event: MachineEvent = {
    id: ulid(timeMs),
    type: "failure",
    status: "destroyed",
    source: "api",
    timeMs,
    message: `host ${host.name} no longer has this machine`,
    reason: "MACHINE_MISSING",
  };
  if (!(await machineStore.markMissing(machine, event))) return;
  logger.error("a machine is missing on its host", { machine_id: machine.id, host: host.number });
  sweepRepairs.inc({ kind: "missing" });
}
