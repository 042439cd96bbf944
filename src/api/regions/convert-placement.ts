import { PlacementStrategy, type Placement as Wire } from "../../gen/windhover/machines/v1/machine.ts";
import { mapFromProto, mapToProto } from "../../lib/grpc/messages/maps.ts";
import type { Placement, PlacementInput, Strategy } from "./placement.ts";

const FROM_PROTO: Record<PlacementStrategy, Strategy | undefined> = {
  [PlacementStrategy.UNSPECIFIED]: "spread",
  [PlacementStrategy.SPREAD]: "spread",
  [PlacementStrategy.PACK]: "pack",
  [PlacementStrategy.UNRECOGNIZED]: undefined,
};
const TO_PROTO: Record<Strategy, PlacementStrategy> = {
  spread: PlacementStrategy.SPREAD,
  pack: PlacementStrategy.PACK,
};

/** Converts a placement without validating it. */
export function placementFromProto(placement: Wire | undefined): PlacementInput | undefined {
  if (placement === undefined) return undefined;
  const { hostLabels, hostNumber, strategy, distinctHosts } = placement;
  return { hostLabels: mapFromProto(hostLabels), hostNumber, strategy: FROM_PROTO[strategy], distinctHosts };
}

export function placementToProto({ hostLabels, hostNumber, strategy, distinctHosts }: Placement): Wire {
  return { hostLabels: mapToProto(hostLabels), hostNumber, strategy: TO_PROTO[strategy], distinctHosts };
}
