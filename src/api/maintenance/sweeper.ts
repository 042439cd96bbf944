import { ulid } from "ulid";
import type { Clock } from "../../lib/runtime/clock.ts";
import { hasReason } from "../../lib/runtime/fault.ts";
import { logger } from "../../lib/runtime/log.ts";
import type { HostEntry, HostTable } from "../hosts/host-table.ts";
import type { SweepHosts } from "../hosts/hostd-sweep.ts";
import type { Machine, MachineEvent } from "../machines/machine.ts";
import type { MachineStore } from "../machines/machine-store.ts";
import { swept } from "../metrics.ts";
import { type KnownMachine, planSweep } from "./plan-sweep.ts";

/** A machine that nobody knows is left alone for this long, in milliseconds. */
const GRACE_MS = 60_000;
/** Hosts that are compared at the same time. */
const PARALLEL = 8;

/** What the sweeper works with. */
export interface SweeperParts {
  readonly table: Pick<HostTable, "all">;
  readonly hosts: SweepHosts;
  readonly machines: MachineStore;
  readonly clock: Clock;
  /** See {@link GRACE_MS}. */
  readonly graceMs?: number;
}

/** Compares every host with the record, and puts right what creates, events and people have missed. */
export class Sweeper {
  readonly #parts: SweeperParts;

  constructor(parts: SweeperParts) {
    this.#parts = parts;
  }

  /** One round over all hosts. A host that cannot be reached is left for the next. */
  async run(signal: AbortSignal): Promise<void> {
    const queue = [...this.#parts.table.all()];
    const work = async () => {
      for (let host = queue.pop(); host && !signal.aborted; host = queue.pop())
        await this.#sweepSafely(host, signal);
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
  }

  async #sweepSafely(host: HostEntry, signal: AbortSignal): Promise<void> {
    try {
      await this.#sweep(host, signal);
    } catch (error) {
      const isExpected = hasReason(error, "HOST_UNREACHABLE") || hasReason(error, "DATABASE_UNAVAILABLE");
      if (!isExpected)
        logger.warn("a host could not be compared with the record", { host: host.number, error });
    }
  }

  /**
   * The order matters. What is missing was recorded before the host was asked, and the host has delivered everything after, and the record
   * still has it. What is an orphan is unknown after the host was asked: a create stores a machine's id before its host hears of it.
   */
  async #sweep(host: HostEntry, signal: AbortSignal): Promise<void> {
    const { hosts, machines, clock, graceMs = GRACE_MS } = this.#parts;
    const before = await machines.ofHost(host.number);
    const onHost = await hosts.list(host, signal);
    const word = await hosts.word(host, signal);
    if (word.identity !== host.identity) {
      logger.warn("a host's address answers with another identity", { host: host.number });
      return;
    }
    const ids = new Set([...before, ...onHost].map((machine) => machine.id));
    const after = await machines.known([...ids]);
    const plan = planSweep(onHost, { before, after }, clock.now(), graceMs);
    if (plan.isDoubtful) {
      const [orphans, missing] = [plan.orphans.length, plan.missing.length];
      logger.error("a host and the record differ too much to believe either", {
        host: host.number,
        orphans,
        missing,
      });
      return;
    }
    for (const orphan of plan.orphans) await this.#removeOrphan(host, orphan, signal);
    // Events still under way may explain both.
    if (!word.isDelivered) return;
    if (plan.ahead.length > 0) await this.#catchUp(plan.ahead);
    for (const missing of plan.missing) await this.#markLost(host, missing);
  }

  async #removeOrphan(host: HostEntry, orphan: Machine, signal: AbortSignal): Promise<void> {
    logger.warn("a machine that nobody knows is destroyed", { machine_id: orphan.id, host: host.number });
    await this.#parts.hosts.destroy(host, orphan.id, signal);
    swept.inc({ kind: "orphan" });
  }

  async #catchUp(ahead: readonly Machine[]): Promise<void> {
    await this.#parts.machines.apply(ahead, []);
    swept.inc({ kind: "ahead" }, ahead.length);
  }

  async #markLost(host: HostEntry, missing: KnownMachine): Promise<void> {
    const timeMs = this.#parts.clock.now();
    const event: MachineEvent = {
      id: ulid(timeMs),
      type: "failure",
      status: "destroyed",
      source: "api",
      timeMs,
      message: `host ${host.name} no longer has this machine`,
      reason: "MACHINE_LOST",
    };
    if (!(await this.#parts.machines.markLost(missing, event))) return;
    logger.error("a host has lost a machine", { machine_id: missing.id, host: host.number });
    swept.inc({ kind: "lost" });
  }
}
