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

/** Stops that are asked for at once: in all, and of one organisation, whose programs may take minutes to end. */
const MAX_ASKED = { ofAll: 64, ofOrg: 16 };
const MIN_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 60_000;
/** Why a machine cannot be suspended, and goes on. The first holds for its host; the others may pass. */
const NOT_SUPPORTED = "SUSPEND_NOT_SUPPORTED";
const NO_SUSPEND: ReadonlySet<string> = new Set([NOT_SUPPORTED, "SUSPEND_FAILED", "DISK_FULL"]);

/** Asks hosts to stop machines that have been idle. */
export class IdleStops {
  readonly #parts: IdleStopsParts;
  /** Machines that are being asked for, or were refused until a moment. */
  readonly #asked = new Map<string, number>();
  /** Since when machines that run have had no request of this proxy. */
  readonly #idleSince = new Map<string, number>();
  /** Machines whose last suspend has failed. */
  readonly #unsuspended = new Set<string>();
  readonly #abort = new AbortController();
  readonly #underWayOf = new Map<string, number>();
  #underWay = 0;

  constructor(parts: IdleStopsParts) {
    this.#parts = parts;
  }

  /** Looks at all machines once. Must be called periodically. */
  pass(): void {
    const now = this.#parts.timers.now();
    for (const [id, untilMs] of this.#asked) if (untilMs <= now) this.#asked.delete(id);
    const started = [...this.#parts.table.machines()].filter(({ id }) => this.#isStarted(id));
    const groups = Map.groupBy(started, ({ app, region }) => `${app} ${region}`);
    for (const machines of groups.values()) {
      for (const stop of planIdleStops(machines.map((machine) => this.#describe(machine, now)))) {
        if (this.#underWay >= MAX_ASKED.ofAll) return;
        void this.#ask(stop);
      }
    }
  }

  /** Forgets a machine that is there no more. */
  forget(machineId: string): void {
    this.#idleSince.delete(machineId);
    this.#unsuspended.delete(machineId);
  }

  close(): void {
    this.#abort.abort();
  }

  /** Without its host nobody knows, and nobody can be asked. */
  #isStarted(machineId: string): boolean {
    const link = this.#parts.hosts.linkOf(machineId);
    const isStarted = link?.state === "up" && link.view(machineId)?.state === "started";
    if (!isStarted) this.#idleSince.delete(machineId);
    return isStarted;
  }

  #describe({ id, services }: MachineRoute, now: number): IdleMachine {
    const uses = this.#parts.hosts.linkOf(id)?.uses;
    const count = uses?.countOf(id) ?? 0;
    const known = this.#idleSince.get(id) ?? now;
    const sinceMs = count > 0 ? now : Math.max(known, uses?.lastEndMs(id) ?? known);
    this.#idleSince.set(id, sinceMs);
    return {
      ...{ id, uses: count, isAsked: this.#asked.has(id), unusedMs: now - sinceMs },
      isCordoned: this.#parts.hosts.linkOf(id)?.view(id)?.cordoned ?? false,
      ...togetherOf(services.filter(({ ports }) => ports.length > 0)),
    };
  }

  async #ask(stop: IdleStop): Promise<void> {
    const { hosts, timers, ended } = this.#parts;
    const calls = hosts.callsOf(stop.id);
    const machine = hosts.called(stop.id);
    if (!calls || !machine || (this.#underWayOf.get(machine.org) ?? 0) >= MAX_ASKED.ofOrg) return;
    this.#asked.set(stop.id, Number.POSITIVE_INFINITY);
    this.#count(machine.org, 1);
    let pauseMs = MIN_PAUSE_MS;
    try {
      if (stop.how === "suspend") ended(await this.#suspend(stop, calls, machine));
      else {
        await calls.stop(machine, stop.idleTimeoutMs, this.#abort.signal);
        ended("stopped");
      }
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      const isInUse = error instanceof Fault && error.reason === "MACHINE_IN_USE";
      const retryMs = error instanceof Fault ? error.retryAfterMs : undefined;
      pauseMs = Math.min(MAX_PAUSE_MS, Math.max(MIN_PAUSE_MS, retryMs ?? stop.idleTimeoutMs / 4));
      if (!isInUse) logger.warn("an idle machine could not be stopped", { machine: stop.id, error });
      ended(isInUse ? "in_use" : "failed");
    } finally {
      this.#count(machine.org, -1);
      this.#asked.set(stop.id, timers.now() + pauseMs);
    }
  }

  #count(org: string, change: 1 | -1): void {
    this.#underWay += change;
    const ofOrg = (this.#underWayOf.get(org) ?? 0) + change;
    if (ofOrg > 0) this.#underWayOf.set(org, ofOrg);
    else this.#underWayOf.delete(org);
  }

  /** Stops a machine that cannot be suspended, at the second try unless its host never can: it does not stay awake for that. */
  async #suspend(
    { idleTimeoutMs }: IdleStop,
    calls: NonNullable<ReturnType<Hosts["callsOf"]>>,
    machine: NonNullable<ReturnType<Hosts["called"]>>,
  ): Promise<"suspended" | "stopped"> {
    const { machineId } = machine;
    try {
      await calls.suspend(machine, idleTimeoutMs, this.#abort.signal);
      this.#unsuspended.delete(machineId);
      return "suspended";
    } catch (error) {
      if (!(error instanceof Fault) || !NO_SUSPEND.has(error.reason)) throw error;
      const isAgain = this.#unsuspended.has(machineId) || error.reason === NOT_SUPPORTED;
      this.#unsuspended.add(machineId);
      if (!isAgain) throw error;
      await calls.stop(machine, idleTimeoutMs, this.#abort.signal);
      this.#unsuspended.delete(machineId);
      return "stopped";
    }
  }
}
