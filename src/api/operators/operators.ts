import { Scheduling } from "../../gen/windhover/scheduler/v1/scheduler.ts";
import { Fault } from "../../lib/runtime/fault.ts";
import { logger } from "../../lib/runtime/log.ts";
import type { HostEntry, HostTable } from "../hosts/host-table.ts";
import type { HostOperations } from "../hosts/hostd-operators.ts";
import type { Machine, MachineState } from "../machines/machine.ts";
import type { HostMachines } from "../machines/machines.ts";
import type { Scope } from "../requests/scope.ts";
import { findHost } from "./find-host.ts";

/** Machines stopped at once while a host is emptied: their programs shut down side by side, and the host has its processors for it. */
const AT_ONCE = 4;
/** What has, or is about to have, a VM. */
const RUNNING: ReadonlySet<MachineState> = new Set<MachineState>(["starting", "started", "stopping"]);

/** How far a host has been emptied: first how many machines there are, then each as it is done. */
export interface Drained {
  readonly host: HostEntry;
  /** Absent in the first. */
  readonly machine?: Machine;
  /** Why it was not stopped. */
  readonly problem?: string;
  readonly done: number;
  readonly total: number;
}

/** What operators do with hosts. The host itself keeps what was said, so that nothing else has to be up for it to count. */
export class Operators {
  readonly #table: HostTable;
  readonly #refresh: () => Promise<void>;
  readonly #hosts: HostOperations;
  readonly #machines: Pick<HostMachines, "stop">;

  /** @param refresh looks for hosts that the table does not know yet */
  constructor(
    table: HostTable,
    refresh: () => Promise<void>,
    hosts: HostOperations,
    machines: Pick<HostMachines, "stop">,
  ) {
    this.#table = table;
    this.#refresh = refresh;
    this.#hosts = hosts;
    this.#machines = machines;
  }

  /** @throws Fault INVALID_FIELDS, `HOST_UNKNOWN`, `HOST_UNREACHABLE` */
  async setScheduling(
    name: string,
    scheduling: Scheduling,
    scope: Scope,
  ): Promise<{ readonly host: HostEntry; readonly previous: Scheduling }> {
    const host = await this.#find(name);
    return { host, previous: await this.#hosts.setScheduling(host, scheduling, scope) };
  }

  /**
   * Empties a host. What was begun goes on when the caller goes; the host stays as it was told.
   *
   * @throws Fault INVALID_FIELDS, `HOST_UNKNOWN`, `HOST_UNREACHABLE`
   */
  async *drain(name: string, scope: Scope): AsyncGenerator<Drained> {
    const { host } = await this.setScheduling(name, Scheduling.DRAINING, scope);
    // After that: what was started before it is in the list, and nothing is started any more.
    const running = (await this.#hosts.machines(host, scope)).filter(({ state }) => RUNNING.has(state));
    const total = running.length;
    yield { host, done: 0, total };
    const waiting = [...running];
    const underWay = new Map<string, Promise<Omit<Drained, "done" | "host" | "total">>>();
    for (let done = 0; done < total; ) {
      while (underWay.size < AT_ONCE && !scope.signal?.aborted) {
        const machine = waiting.shift();
        if (!machine) break;
        underWay.set(machine.id, this.#stop(host, machine));
      }
      if (underWay.size === 0) return;
      const ended = await Promise.race(underWay.values());
      underWay.delete(ended.machine?.id ?? "");
      done += 1;
      yield { host, ...ended, done, total };
    }
  }

  /** Never throws: one machine that cannot be stopped must not keep the others running. */
  async #stop(host: HostEntry, machine: Machine): Promise<Omit<Drained, "done" | "host" | "total">> {
    try {
      const request = { machineId: machine.id, org: "", signal: "" };
      return { machine: (await this.#machines.stop(host, request, {})).machine };
    } catch (error) {
      logger.warn("a machine could not be stopped to empty its host", { machine_id: machine.id, error });
      return { machine, problem: error instanceof Fault ? error.message : "an error of the api's own" };
    }
  }

  async #find(name: string): Promise<HostEntry> {
    try {
      return findHost(name, this.#table.all());
    } catch (err) {
      if (!(err instanceof Fault) || err.reason !== "HOST_UNKNOWN") throw err;
      // Announced to another api a moment ago, perhaps.
      await this.#refresh().catch(() => undefined);
      return findHost(name, this.#table.all());
    }
  }
}
