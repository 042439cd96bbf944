import { Fault } from "../../lib/faults/fault.ts";
import { logger } from "../../lib/runtime/log.ts";
import type { Hosts } from "../hosts/hosts.ts";
import type { RouteTable } from "../routes/route-table.ts";
import type { MachineRoute } from "../routes/routes.ts";
import type { Timers } from "../timers.ts";
import { type IdleMachine, type IdleStop, planIdleStops, togetherOf } from "./idle-plan.ts";

/** How a stop that was asked for has ended. `in_use`: another proxy uses the machine, or it is busy. */
export type IdleOutcome = "stopped" | "suspended" | "in_use" | "failed";

export interface IdleStopsParts {
  readonly table: RouteTable;
  readonly hosts: Hosts;
  readonly timers: Timers;
  ended(outcome: IdleOutcome): void;
}

/** Stops that are asked for at once. */
const MAX_ASKED = 64;
const MIN_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 60_000;

/** Asks hosts to stop machines that have been idle. */
export class IdleStops {
  readonly #parts: IdleStopsParts;
  /** Machines that are being asked for, or were refused until a moment. */
  readonly #asked = new Map<string, number>();
  /** Since when machines that run have had no request of this proxy. */
  readonly #idleSince = new Map<string, number>();
  readonly #abort = new AbortController();

  constructor(parts: IdleStopsParts) {
    this.#parts = parts;
  }

  /** Looks at all machines once. Must be called periodically. */
  pass(): void {
    const now = this.#parts.timers.now();
    for (const [id, untilMs] of this.#asked) if (untilMs <= now) this.#asked.delete(id);
    const groups = Map.groupBy(this.#parts.table.machines(), ({ app, region }) => `${app} ${region}`);
    for (const machines of groups.values()) {
      for (const stop of planIdleStops(machines.map((machine) => this.#describe(machine, now)))) {
        if (this.#asked.size >= MAX_ASKED && !this.#asked.has(stop.id)) return;
        void this.#ask(stop);
      }
    }
  }

  /** Forgets a machine that is there no more. */
  forget(machineId: string): void {
    this.#idleSince.delete(machineId);
  }

  close(): void {
    this.#abort.abort();
  }

  #describe(machine: MachineRoute, now: number): IdleMachine {
    const { id, services } = machine;
    const link = this.#parts.hosts.linkOf(id);
    const view = link?.view(id);
    // Without its host nobody knows, and nobody can be asked.
    const isStarted = link?.state === "up" && view?.state === "started";
    const uses = link?.uses.countOf(id) ?? 0;
    const together = togetherOf(services.filter(({ ports }) => ports.length > 0));
    return {
      id,
      isStarted,
      uses,
      ...together,
      isAsked: this.#asked.has(id),
      unusedMs: this.#unusedMs(id, isStarted, uses, now),
    };
  }

  #unusedMs(id: string, isStarted: boolean, uses: number, now: number): number {
    if (!isStarted) {
      this.#idleSince.delete(id);
      return 0;
    }
    const lastEndMs = this.#parts.hosts.linkOf(id)?.uses.lastEndMs(id);
    const known = this.#idleSince.get(id) ?? now;
    const sinceMs = uses > 0 ? now : Math.max(known, lastEndMs ?? known);
    this.#idleSince.set(id, sinceMs);
    return now - sinceMs;
  }

  async #ask(stop: IdleStop): Promise<void> {
    const { hosts, timers, ended } = this.#parts;
    const calls = hosts.callsOf(stop.id);
    const machine = hosts.called(stop.id);
    if (!calls || !machine) return;
    this.#asked.set(stop.id, Number.POSITIVE_INFINITY);
    let pauseMs = MIN_PAUSE_MS;
    try {
      if (stop.how === "suspend") await this.#suspend(stop, calls, machine);
      else await calls.stop(machine, stop.idleTimeoutMs, this.#abort.signal);
      ended(stop.how === "suspend" ? "suspended" : "stopped");
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      const isInUse = error instanceof Fault && error.reason === "MACHINE_IN_USE";
      const retryMs = error instanceof Fault ? error.retryAfterMs : undefined;
      pauseMs = Math.min(MAX_PAUSE_MS, Math.max(MIN_PAUSE_MS, retryMs ?? stop.idleTimeoutMs / 4));
      if (!isInUse) logger.warn("an idle machine could not be stopped", { machine: stop.id, error });
      ended(isInUse ? "in_use" : "failed");
    } finally {
      this.#asked.set(stop.id, timers.now() + pauseMs);
    }
  }

  /** A host that cannot suspend stops the machine: it does not stay awake for that. */
  async #suspend(
    { idleTimeoutMs }: IdleStop,
    calls: NonNullable<ReturnType<Hosts["callsOf"]>>,
    machine: NonNullable<ReturnType<Hosts["called"]>>,
  ): Promise<void> {
    try {
      await calls.suspend(machine, idleTimeoutMs, this.#abort.signal);
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== "UNIMPLEMENTED") throw error;
      await calls.stop(machine, idleTimeoutMs, this.#abort.signal);
    }
  }
}
