import { PlacementStrategy, type Placement as Wire } from "../../gen/windhover/machines/v1/machine.ts";
import type { Placement, PlacementInput, Strategy } from "./placement.ts";

const STRATEGIES: ReadonlyMap<PlacementStrategy, Strategy> = new Map<PlacementStrategy, Strategy>([
  [PlacementStrategy.UNSPECIFIED, "spread"],
  [PlacementStrategy.SPREAD, "spread"],
  [PlacementStrategy.PACK, "pack"],
]);

/** A placement as a caller wrote it, to be validated. */
export function placementInput(placement: Wire | undefined): PlacementInput | undefined {
  if (placement === undefined) return undefined;
  const { hostLabels, hostNumber, strategy, distinctHosts } = placement;
  return { hostLabels, hostNumber, strategy: STRATEGIES.get(strategy), distinctHosts };
}

/** Puts a placement on the wire. */
export function placementTo({ hostLabels, hostNumber, strategy, distinctHosts }: Placement): Wire {
  return {
    hostLabels: { ...hostLabels },
    hostNumber,
    strategy: strategy === "pack" ? PlacementStrategy.PACK : PlacementStrategy.SPREAD,
    distinctHosts,
  };
}
