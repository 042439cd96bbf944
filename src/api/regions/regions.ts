import { Fault, type Violation } from "../../lib/runtime/fault.ts";
import { ALIASES, distanceKm, PLACES } from "./region-places.ts";

/** What an api knows of regions. */
export interface KnownRegions {
  /** Its own. */
  readonly own: string;
  /** Those that machines can be placed in: the ones whose scheduler it knows, in any order. */
  readonly known: readonly string[];
}

const MAX_ITEMS = 32;

/**
 * The regions that an expression stands for, in the order to try them: codes and groups as they are written, within a group the nearest to this
 * api first. Nothing written stands for the api's own region, or the nearest where it has no scheduler.
 *
 * Near is by great circle, not by measured round trips: so every replica says the same, at any time, with any of the regions down; and between
 * regions the cables' detours change the time, hardly ever the order.
 *
 * @throws Fault INVALID_ARGUMENT / `REGION_UNKNOWN`; its fact `known` names the regions there are
 */
export function resolveRegions(expression: string, regions: KnownRegions): readonly string[] {
  const nearest = nearestFirst(regions);
  if (expression === "") return nearest.slice(0, 1);
  const items = expression.split(",").map((item) => item.trim().toLowerCase());
  if (items.length > MAX_ITEMS) throw unknown(expression, regions, `must name at most ${MAX_ITEMS}`);
  const found = items.flatMap((item) => {
    const members = membersOf(item, nearest);
    if (!members) throw unknown(expression, regions, problemWith(item));
    return members;
  });
  // A group of which none is here is no mistake beside others that are.
  if (found.length === 0) throw unknown(expression, regions, `has no region here`);
  return [...new Set(found)];
}

/** All known regions, the own first, those whose place nobody knows last. */
function nearestFirst({ own, known }: KnownRegions): readonly string[] {
  const here = PLACES.get(own);
  const far = (code: string) => {
    if (code === own) return -1;
    const there = PLACES.get(code);
    return here && there ? distanceKm(here, there) : Number.MAX_VALUE;
  };
  return [...new Set(known)].sort((a, b) => far(a) - far(b) || (a < b ? -1 : 1));
}

/** Undefined: no such region, and no such group. A region may be called like a group: then it is the region. */
function membersOf(item: string, nearest: readonly string[]): readonly string[] | undefined {
  if (nearest.includes(item)) return [item];
  const group = ALIASES.get(item);
  if (group === undefined) return undefined;
  return group === "any" ? nearest : nearest.filter((code) => PLACES.get(code)?.groups.includes(group));
}

function problemWith(item: string): string {
  if (item === "") return "must not have empty items";
  return PLACES.has(item)
    ? `names ${item}, which has no scheduler here`
    : `names ${item}, which is no region`;
}

function unknown(expression: string, { known }: KnownRegions, problem: string): Fault {
  const list = [...new Set(known)].sort().join(",");
  const violation: Violation = { field: "region", description: problem };
  return new Fault(
    "INVALID_ARGUMENT",
    "REGION_UNKNOWN",
    `region "${expression}" ${problem}; machines can be placed in ${list}, and in groups of them (${[...ALIASES.keys()].join(", ")})`,
    { region: expression, known: list },
    { violations: [violation] },
  );
}
