import { Fault } from "../../lib/faults/fault.ts";
import { logger } from "../../lib/runtime/log.ts";
import type { HostEntry, HostTable, Scheduling } from "../hosts/host-table.ts";
import type { HostdClient } from "../hosts/hostd-client.ts";
import type { Machine, MachineState } from "../machines/machine.ts";
import type { CallLimits } from "../requests/caller.ts";
import { findHost } from "./find-host.ts";

/** Machines that one drain stops at a time. */
const MAX_PARALLEL = 4;
/** States with a VM, or soon with one. */
const RUNNING: ReadonlySet<MachineState> = new Set<MachineState>(["starting", "started", "stopping"]);

/** The progress of a drain. The first has no machine. */
export interface DrainProgress {
  readonly host: HostEntry;
  /** The machine that was stopped, or could not be. */
  readonly machine?: Machine;
  /** Why it could not be stopped. */
  readonly problem?: string;
  readonly done: number;
  readonly total: number;
}

type StopResult = Required<Pick<DrainProgress, "machine">> & Pick<DrainProgress, "problem">;

/** Takes hosts out of use and back. The host itself stores whether it takes machines. */
export class Operators {
  readonly #table: HostTable;
  readonly #refresh: () => Promise<void>;
  readonly #hostd: Pick<HostdClient, "setScheduling" | "listMachines" | "stopMachine">;

  /** @param refresh reads hosts from the database that the table does not have yet */
  constructor(
    table: HostTable,
    refresh: () => Promise<void>,
    hostd: Pick<HostdClient, "setScheduling" | "listMachines" | "stopMachine">,
  ) {
    this.#table = table;
    this.#refresh = refresh;
    this.#hostd = hostd;
  }

  /** @throws Fault INVALID_FIELDS, `HOST_UNKNOWN`, `HOST_UNREACHABLE` */
  async setScheduling(
    name: string,
    scheduling: Scheduling,
    limits: CallLimits,
  ): Promise<{ readonly host: HostEntry; readonly previous: Scheduling }> {
    const host = await this.#find(name);
    return { host, previous: await this.#hostd.setScheduling(host, scheduling, limits) };
  }

  /**
   * Sets a host to draining and stops its machines. When the caller goes, stops under way go on and the host stays as it is.
   *
   * @throws Fault INVALID_FIELDS, `HOST_UNKNOWN`, `HOST_UNREACHABLE`
   */
  async *drain(name: string, limits: CallLimits): AsyncGenerator<DrainProgress> {
    const { host } = await this.setScheduling(name, "draining", limits);
    // Listed afterwards: the host starts no more machines.
    const waiting = (await this.#hostd.listMachines(host, limits)).filter(({ state }) => RUNNING.has(state));
    const total = waiting.length;
    yield { host, done: 0, total };
    const stops = new Map<string, Promise<StopResult>>();
    for (let done = 1; done <= total; done++) {
      while (stops.size < MAX_PARALLEL && !limits.signal?.aborted) {
        const machine = waiting.shift();
        if (!machine) break;
        stops.set(machine.id, this.#stop(host, machine));
      }
      if (stops.size === 0) return;
      const stopped = await Promise.race(stops.values());
      stops.delete(stopped.machine.id);
      yield { host, ...stopped, done, total };
    }
  }

  /** Never throws: a machine that cannot be stopped must not keep the others running. */
  async #stop(host: HostEntry, machine: Machine): Promise<StopResult> {
    try {
      const target = { machineId: machine.id, org: "", signal: "" };
      return { machine: (await this.#hostd.stopMachine(host, target, {})).machine };
    } catch (error) {
      logger.warn("a machine could not be stopped to drain its host", { machine_id: machine.id, error });
      return { machine, problem: error instanceof Fault ? error.message : "an internal error of the api" };
    }
  }

  async #find(name: string): Promise<HostEntry> {
    try {
      return findHost(name, this.#table.all());
    } catch (err) {
      if (!(err instanceof Fault) || err.reason !== "HOST_UNKNOWN") throw err;
      // It may have announced itself to another api.
      await this.#refresh().catch(() => undefined);
      return findHost(name, this.#table.all());
    }
  }
}
