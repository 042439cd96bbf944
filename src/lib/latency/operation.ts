/** What a trace measures. A trace may hold several: a wake has a start in it, a create mostly one too. */
export const KINDS = ["start", "create", "wake", "stop", "suspend"] as const;
export type Kind = (typeof KINDS)[number];

/** One start, create, wake, stop or suspend, as the spans of its trace show it. */
export interface Operation {
  readonly traceId: string;
  /** Span that begins and ends with it. */
  readonly spanId: string;
  readonly kind: Kind;
  /** Microseconds since the epoch. */
  readonly startUs: number;
  readonly durationUs: number;
  /** Reason of the fault that ended it, e.g. `HOST_FULL`; empty: it succeeded. */
  readonly reason: string;
  /** Start path (`warm`, `snapshot`, ...); empty when no VM was started. */
  readonly path: string;
  /** Why no faster path was taken, e.g. `pool_empty`; empty when none is faster or nobody said. */
  readonly notFaster: string;
  /** Empty strings stand for what no span says. */
  readonly org: string;
  readonly app: string;
  readonly machineId: string;
  readonly host: string;
  readonly region: string;
  /** Reference or digest, whichever a span names. */
  readonly image: string;
  /** CPU kind, CPUs and memory, e.g. `shared-1x-256`. */
  readonly size: string;
  /** Windhover's version on the host or api that did the work. */
  readonly version: string;
  /** Starts that waited on the host when this one came. */
  readonly queueLength: number;
  /** Operations under way on the host, or the api, when this one came. */
  readonly concurrency: number;
  /** VMs that were ready in the warm pool; -1: nobody said. */
  readonly poolSize: number;
  /** Milliseconds that the pool took to replace the VM of an earlier start; -1: nobody said. */
  readonly refillMs: number;
  /** Critical path: each hop's own time on it, in microseconds. Their sum is `durationUs`. */
  readonly hops: Readonly<Record<string, number>>;
  /** The part of `hops` in which no span but the operation's own ran. */
  readonly unexplainedUs: number;
  /** Largest correction of a clock within the trace, in microseconds. */
  readonly skewUs: number;
  /** Time from the end of its last span until the receiver had it. */
  readonly lagMs: number;
}

/** A moment that may explain a change: a new version, a template that was built. */
export interface Mark {
  /** Milliseconds since the epoch. */
  readonly timeMs: number;
  readonly kind: "version" | "template";
  readonly label: string;
  readonly host: string;
}
