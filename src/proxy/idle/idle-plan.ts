import type { Autostop } from "../../lib/service-config/defaults.ts";

/** A machine that runs, of an app in a region, as far as idleness goes. */
export interface IdleMachine {
  readonly id: string;
  /** Of all its services that proxies know. */
  readonly autostop: Autostop;
  readonly minMachinesRunning: number;
  readonly idleTimeoutMs: number;
  /** Requests and starts of this proxy that need it. */
  readonly uses: number;
  /** How long this proxy has had no request for it. */
  readonly unusedMs: number;
  /** Asked already, or refused until later. */
  readonly isAsked: boolean;
}

/** A machine to be stopped when no other proxy uses it. */
export interface IdleStop {
  readonly id: string;
  readonly how: "stop" | "suspend";
  readonly idleTimeoutMs: number;
}

/**
 * Decides which machines of an app in one region their hosts are asked to stop: those that have been
 * idle for long enough. The first so many that must stay, by id, are never asked for: all proxies leave
 * the same ones.
 */
export function planIdleStops(machines: readonly IdleMachine[]): readonly IdleStop[] {
  const started = [...machines].sort((a, b) => (a.id < b.id ? -1 : 1));
  const kept = Math.max(0, ...started.map(({ minMachinesRunning }) => minMachinesRunning));
  return started.slice(kept).flatMap(({ id, autostop, idleTimeoutMs, uses, unusedMs, isAsked }) => {
    const isIdle = uses === 0 && unusedMs >= idleTimeoutMs && !isAsked;
    return autostop === "off" || !isIdle ? [] : [{ id, how: autostop, idleTimeoutMs }];
  });
}

/** What holds for a machine of all its services: it stops when each of them allows it, in the gentlest way. */
export function togetherOf(
  services: readonly {
    readonly autostop: Autostop;
    readonly minMachinesRunning: number;
    readonly idleTimeoutMs: number;
  }[],
) {
  const ways = new Set(services.map(({ autostop }) => autostop));
  const isOff = ways.size === 0 || ways.has("off");
  return {
    autostop: isOff ? ("off" as const) : ways.has("suspend") ? ("suspend" as const) : ("stop" as const),
    minMachinesRunning: Math.max(0, ...services.map((each) => each.minMachinesRunning)),
    idleTimeoutMs: Math.max(0, ...services.map((each) => each.idleTimeoutMs)),
  };
}
