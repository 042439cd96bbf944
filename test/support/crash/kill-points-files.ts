import { join } from "node:path";

/** Which side of a span. */
export type Edge = "begin" | "end";

/** A moment in the life of a service: the `nth` begin or end of a span within one trace. */
export interface KillPoint {
  readonly service: string;
  readonly span: string;
  readonly edge: Edge;
  /** From 1. */
  readonly nth: number;
}

/** A moment that has come. */
export interface PassedPoint extends KillPoint {
  readonly pid: number;
  /** Moments of a process with the same turn are those between which nothing has reached it. */
  readonly turn: number;
  /** Whether something outside of the process follows upon it at once. */
  readonly isEffect: boolean;
}

/** What the services of a fleet are told: to note the moments of a trace, or to die at one of them. */
export interface ArmedPoint {
  readonly trace: string;
  readonly point?: KillPoint;
}

/** Name of the file with an {@link ArmedPoint}; without it nothing is watched. */
export const ARMED = "armed.json";
/** Name of the file with the moments that have come, a line each. */
export const PASSED = "passed.jsonl";

/** Where a fleet's services look for these. */
export function killPointsFolder(fleetFolder: string): string {
  return join(fleetFolder, "kill-points");
}
