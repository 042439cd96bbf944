import type { Autostop } from "../../lib/service-config/defaults.ts";
import type { ServiceRoute } from "../routes/routes.ts";

/** A machine that runs, of an app in a region, as far as idleness goes. */
export interface IdleMachine {
  readonly id: string;
  /** Of all its services that proxies know. */
  readonly autostop: Autostop;
  /** How many machines must run for each of its services, by port of the guest. */
  readonly minMachinesRunning: ReadonlyMap<number, number>;
  readonly isCordoned: boolean;
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
 * idle for long enough. The first so many of each service that must stay are never asked for.
 */
export function planIdleStops(machines: readonly IdleMachine[]): readonly IdleStop[] {
  const kept = keptOf(machines);
  return machines.flatMap(({ id, autostop, idleTimeoutMs, uses, unusedMs, isAsked }) => {
    const isIdle = uses === 0 && unusedMs >= idleTimeoutMs && !isAsked && !kept.has(id);
    return autostop === "off" || !isIdle ? [] : [{ id, how: autostop, idleTimeoutMs }];
  });
}

/** All proxies keep the same ones: by id, those that take no requests last. */
function keptOf(machines: readonly IdleMachine[]): ReadonlySet<string> {
  const ordered = [...machines].sort(
    (a, b) => Number(a.isCordoned) - Number(b.isCordoned) || (a.id < b.id ? -1 : 1),
  );
  const kept = new Set<string>();
  for (const port of new Set(machines.flatMap(({ minMachinesRunning }) => [...minMachinesRunning.keys()]))) {
    const having = ordered.filter(({ minMachinesRunning }) => minMachinesRunning.has(port));
    const wanted = Math.max(...having.map(({ minMachinesRunning }) => minMachinesRunning.get(port) ?? 0));
    for (const { id } of having.slice(0, wanted)) kept.add(id);
  }
  return kept;
}

/** What holds for a machine of all its services: it stops when each of them allows it, in the gentlest way. */
export function togetherOf(
  services: readonly Pick<
    ServiceRoute,
    "internalPort" | "autostop" | "minMachinesRunning" | "idleTimeoutMs"
  >[],
) {
  const ways = new Set(services.map(({ autostop }) => autostop));
  const isOff = ways.size === 0 || ways.has("off");
  return {
    autostop: isOff ? ("off" as const) : ways.has("suspend") ? ("suspend" as const) : ("stop" as const),
    minMachinesRunning: new Map(services.map((each) => [each.internalPort, each.minMachinesRunning])),
    idleTimeoutMs: Math.max(0, ...services.map((each) => each.idleTimeoutMs)),
  };
}
