import { Fault, type Violation } from "../../lib/faults/fault.ts";
import { ALIASES, distanceKm, PLACES } from "./region-places.ts";

export interface KnownRegions {
  readonly own: string;
  /** The regions with a configured scheduler, in any order. */
  readonly known: readonly string[];
}

const MAX_ITEMS = 32;

/**
 * Resolves a region expression to the regions to try, in order: codes and groups as written, the
 * members of a group by great-circle distance (docs/adr/0015-many-regions.md). An empty one means
 * the api's own region, or the nearest with a scheduler. @throws Fault `REGION_UNKNOWN`
 */
export function resolveRegions(expression: string, regions: KnownRegions): readonly string[] {
  const nearest = nearestFirst(regions);
  if (expression === "") return nearest.slice(0, 1);
  const items = expression.split(",").map((item) => item.trim().toLowerCase());
  if (items.length > MAX_ITEMS)
    throw regionUnknown(expression, regions.known, `must name at most ${MAX_ITEMS}`);
  const found = items.flatMap((item) => {
    const members = membersOf(item, nearest);
    if (!members) throw regionUnknown(expression, regions.known, problemWith(item));
    return members;
  });
  if (found.length === 0) throw regionUnknown(expression, regions.known, "has no region here");
  return [...new Set(found)];
}

/** Own region first, regions of unknown place last. */
export function nearestFirst({ own, known }: KnownRegions): readonly string[] {
  const here = PLACES.get(own);
  const far = (code: string) => {
    if (code === own) return -1;
    const there = PLACES.get(code);
    return here && there ? distanceKm(here, there) : Number.MAX_VALUE;
  };
  return [...new Set(known)].sort((a, b) => far(a) - far(b) || (a < b ? -1 : 1));
}

/** Returns undefined for an unknown item. A region takes precedence over a group of its name. */
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

export function regionUnknown(expression: string, known: readonly string[], problem: string): Fault {
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
