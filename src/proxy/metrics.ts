import { Fault } from "../lib/faults/fault.ts";
import { counter, gauge, gaugeBy, outcomeOf, START_BUCKETS, secondsHistogram } from "../lib/otel/metrics.ts";
import type { IdleOutcome } from "./idle/idle-stops.ts";
import type { MachineRouter, RouterObserver } from "./router.ts";
import type { RouteTable } from "./routes/route-table.ts";
import type { Start } from "./wakes/start.ts";

const PATHS: ReadonlySet<string> = new Set(["resume", "snapshot", "warm", "template", "cold"]);

const wakes = counter(
  "windhover_proxy_wakes_total",
  "Starts that requests have caused, by start path and outcome; `none`: it ran already, or the start failed.",
  ["path", "outcome"],
);
const wakeSeconds = secondsHistogram(
  "windhover_proxy_wake_seconds",
  "From asking for a start until the machine was ready, by start path.",
  ["path"],
  START_BUCKETS,
);
const choices = counter(
  "windhover_proxy_choices_total",
  "Choices of a machine for a request: `place` (at once), `wait`, `none`, and `queued` for requests that went into a queue.",
  ["outcome"],
);
/** One for each outcome, since every request is counted. */
const chosen = {
  place: choices.labels("place"),
  wait: choices.labels("wait"),
  none: choices.labels("none"),
  queued: choices.labels("queued"),
};
for (const each of Object.values(chosen)) each.inc(0);
const idleStops = counter(
  "windhover_proxy_idle_stops_total",
  "Stops of idle machines that hosts were asked for; `in_use`: another proxy uses the machine, or it is busy.",
  ["outcome"],
);
for (const outcome of ["stopped", "suspended", "in_use", "failed"] satisfies IdleOutcome[])
  idleStops.inc({ outcome }, 0);

/** Counts what a router does. */
export const countingObserver: RouterObserver = {
  chosen: (outcome) => chosen[outcome].inc(),
  startEnded: countStart,
  idleStopEnded: (outcome) => idleStops.inc({ outcome }),
};

function countStart({ path, askedMs, readyMs, traceId }: Start, fault: unknown): void {
  const known = PATHS.has(path) ? path : "none";
  wakes.inc({ path: known, outcome: readyMs === undefined ? failureOf(fault) : "ok" });
  if (readyMs !== undefined) wakeSeconds.observe({ path: known }, (readyMs - askedMs) / 1_000, traceId);
}

/** A program that ends before it is ready is its owner's. */
function failureOf(fault: unknown): string {
  return fault instanceof Fault && fault.reason === "NOT_READY" ? "refused" : outcomeOf(fault);
}

/** Adds the metrics that are read on demand. */
export function exposeRouter(router: MachineRouter, table: RouteTable): void {
  gauge("windhover_proxy_waiting", "Requests that wait for a machine.", () => router.counts.waiting);
  gauge(
    "windhover_proxy_starts_in_progress",
    "Starts under way that requests have caused.",
    () => router.counts.starts,
  );
  gauge("windhover_proxy_uses", "Machines that hosts are told of as used.", () => router.counts.uses);
  gaugeBy("windhover_proxy_routes", "Size of the table of routes.", "kind", () => Object.entries(table.size));
  gaugeBy(
    "windhover_proxy_hosts",
    "Hosts with routed machines, by the state of their stream.",
    "state",
    () => {
      const counts = new Map([...["connecting", "up", "lost"]].map((state) => [state, 0]));
      for (const { link } of router.hosts.entries())
        counts.set(link.state, (counts.get(link.state) ?? 0) + 1);
      return counts;
    },
  );
}
