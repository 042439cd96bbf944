import { ulid } from "ulid";
import { hasReason } from "../../lib/faults/fault.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { logger } from "../../lib/runtime/log.ts";
import type { HostEntry, HostTable } from "../hosts/host-table.ts";
import type { HostdClient } from "../hosts/hostd-client.ts";
import type { Machine, MachineEvent } from "../machines/machine.ts";
import type { MachineStore, StoredMachine } from "../machines/machine-store.ts";
import { sweepRepairs, sweeps } from "./metrics.ts";
import { planSweep } from "./plan-sweep.ts";

/** An unknown machine younger than this is left alone. */
const GRACE_MS = 60_000;
/** Hosts that are compared at a time. */
const MAX_PARALLEL = 8;
const CALL_TIMEOUT_MS = 10_000;

/** The part of hostd that the sweeper calls. */
export type SweepHosts = Pick<HostdClient, "listMachines" | "getHost" | "destroyMachine">;

/** Compares every host with the database and repairs the differences. */
export class Sweeper {
  readonly #table: Pick<HostTable, "all">;
  readonly #hosts: SweepHosts;
  readonly #machines: MachineStore;
  readonly #clock: Clock;

  constructor(table: Pick<HostTable, "all">, hosts: SweepHosts, machines: MachineStore, clock: Clock) {
    this.#table = table;
    this.#hosts = hosts;
    this.#machines = machines;
    this.#clock = clock;
  }

  /** Does one round over all hosts. Skips hosts that cannot be reached. */
  async run(signal: AbortSignal): Promise<void> {
    const queue = [...this.#table.all()];
    const work = async () => {
      for (let host = queue.pop(); host && !signal.aborted; host = queue.pop())
        await this.#sweepSafely(host, signal);
    };
    await Promise.all(Array.from({ length: MAX_PARALLEL }, work));
    sweeps.inc();
  }

  async #sweepSafely(host: HostEntry, signal: AbortSignal): Promise<void> {
    try {
      await this.#sweep(host, signal);
    } catch (error) {
      const isExpected = hasReason(error, "HOST_UNREACHABLE") || hasReason(error, "DATABASE_UNAVAILABLE");
      if (!isExpected) logger.warn("a host could not be swept", { host: host.number, error });
    }
  }

  /**
   * The order of reads matters. A missing machine is in the database before the host is asked and after, and the host has delivered all
   * changes. An unknown machine is absent after the host was asked: creates store a machine's id before its host gets it.
   */
  async #sweep(host: HostEntry, signal: AbortSignal): Promise<void> {
    const limits = { signal, remainingMs: CALL_TIMEOUT_MS };
    const before = await this.#machines.ofHost(host.number);
    const onHost = await this.#hosts.listMachines(host, limits);
    const { announced, isDelivered } = await this.#hosts.getHost(host, limits);
    if (announced.identity !== host.identity) {
      logger.warn("a host's address answers with another identity", { host: host.number });
      return;
    }
    const ids = new Set([...before, ...onHost].map((machine) => machine.id));
    const after = await this.#machines.withIds([...ids]);
    const plan = planSweep(onHost, { before, after }, this.#clock.now(), GRACE_MS);
    if (plan.isImplausible) {
      const facts = { host: host.number, unknown: plan.unknown.length, missing: plan.missing.length };
      logger.error("a host and the database differ too much to repair", facts);
      return;
    }
    for (const machine of plan.unknown) await this.#destroyUnknown(host, machine, limits);
    // Changes on their way may explain the other differences.
    if (!isDelivered) return;
    if (plan.ahead.length > 0) await this.#applyAhead(plan.ahead);
    for (const machine of plan.missing) await this.#markMissing(host, machine);
  }

  async #destroyUnknown(
    host: HostEntry,
    { id }: Machine,
    limits: Parameters<SweepHosts["destroyMachine"]>[2],
  ): Promise<void> {
    logger.warn("an unknown machine is destroyed", { machine_id: id, host: host.number });
    const target = { machineId: id, org: "", force: true, ignoreMissing: true };
    await this.#hosts.destroyMachine(host, target, limits);
    sweepRepairs.inc({ kind: "unknown" });
  }

  async #applyAhead(ahead: readonly Machine[]): Promise<void> {
    await this.#machines.apply(ahead);
    sweepRepairs.inc({ kind: "ahead" }, ahead.length);
  }

  async #markMissing(host: HostEntry, machine: StoredMachine): Promise<void> {
    const timeMs = this.#clock.now();
    const event: MachineEvent = {
      id: ulid(timeMs),
      type: "failure",
      status: "destroyed",
      source: "api",
      timeMs,
      message: `host ${host.name} no longer has this machine`,
      reason: "MACHINE_MISSING",
    };
    if (!(await this.#machines.markMissing(machine, event))) return;
    logger.error("a machine is missing on its host", { machine_id: machine.id, host: host.number });
    sweepRepairs.inc({ kind: "missing" });
  }
}
