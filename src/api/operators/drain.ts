import { Fault, hasReason } from "../../lib/faults/fault.ts";
import { logger } from "../../lib/runtime/log.ts";
import type { HostEntry, HostTable, Scheduling } from "../hosts/host-table.ts";
import type { Hostd, HostedMachine } from "../hosts/hostd.ts";
import type { Hosts } from "../hosts/hosts.ts";
import { RUNNING_STATES } from "../machines/machine.ts";
import type { CallLimits } from "../requests/caller.ts";
import { findHost } from "./find-host.ts";

/** Machines that one drain stops at a time. */
const MAX_PARALLEL = 4;

export interface OperatorParts {
  readonly table: HostTable;
  readonly hosts: Hosts;
  readonly hostd: Hostd;
}

interface Stopped {
  readonly machine: HostedMachine;
  /** Why it could not be stopped. */
  readonly problem?: string;
}

/** The progress of a drain. The first has no machine. */
export interface DrainProgress extends Partial<Stopped> {
  readonly host: HostEntry;
  readonly done: number;
  readonly total: number;
}

/** @throws Fault INVALID_FIELDS, `HOST_UNKNOWN`, `HOST_UNREACHABLE` */
export async function setScheduling(
  parts: OperatorParts,
  name: string,
  scheduling: Scheduling,
  limits: CallLimits,
): Promise<{ readonly host: HostEntry; readonly previous: Scheduling }> {
  const host = await find(parts, name);
  return { host, previous: await parts.hostd.setScheduling(host, scheduling, limits) };
}

/**
 * Sets a host to draining and stops its machines. When the caller goes, stops under way go on and
 * the host stays as it is. @throws as {@link setScheduling}
 */
export async function* drain(
  parts: OperatorParts,
  name: string,
  limits: CallLimits,
): AsyncGenerator<DrainProgress> {
  const { host } = await setScheduling(parts, name, "draining", limits);
  // Listed afterwards: the host starts no more machines.
  const machines = await parts.hostd.listMachines(host, limits);
  const waiting = machines.filter(({ state }) => RUNNING_STATES.has(state));
  const total = waiting.length;
  yield { host, done: 0, total };
  const stops = new Map<string, Promise<Stopped>>();
  for (let done = 1; done <= total; done++) {
    while (stops.size < MAX_PARALLEL && !limits.signal?.aborted) {
      const machine = waiting.shift();
      if (!machine) break;
      stops.set(machine.id, stop(parts.hostd, host, machine));
    }
    if (stops.size === 0) return;
    const stopped = await Promise.race(stops.values());
    stops.delete(stopped.machine.id);
    yield { host, ...stopped, done, total };
  }
}

/** Never throws: a machine that cannot be stopped must not keep the others running. */
async function stop(hostd: Hostd, host: HostEntry, machine: HostedMachine): Promise<Stopped> {
  try {
    const target = { machineId: machine.id, org: "", signal: "", ignoreLease: true };
    return { machine: (await hostd.stopMachine(host, target, {})).machine };
  } catch (error) {
    logger.warn("a machine could not be stopped to drain its host", { machine_id: machine.id, error });
    return { machine, problem: error instanceof Fault ? error.message : "an internal error of the api" };
  }
}

async function find({ table, hosts }: OperatorParts, name: string): Promise<HostEntry> {
  try {
    return findHost(name, table.all());
  } catch (err) {
    if (!hasReason(err, "HOST_UNKNOWN")) throw err;
    // It may have announced itself to another api.
    await hosts.refresh().catch(() => undefined);
    return findHost(name, table.all());
  }
}
