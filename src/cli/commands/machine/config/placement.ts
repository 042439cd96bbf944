import { type Placement, PlacementStrategy } from "../../../../gen/windhover/machines/v1/machine.ts";
import { mapToProto } from "../../../../lib/grpc/messages/maps.ts";
import { UsageError } from "../../../session/faults/usage-error.ts";

/** The flags of `machine run` and `machine create` that say on which host it may be. */
export interface PlacementFlags {
  readonly hostLabel?: Readonly<Record<string, string>>;
  readonly onHost?: number;
  readonly pack?: boolean;
  readonly spread?: boolean;
  readonly distinctHosts?: boolean;
}

/**
 * The placement that flags describe; undefined for none.
 *
 * @throws UsageError when they contradict each other
 */
export function placement(flags: PlacementFlags): Placement | undefined {
  const { hostLabel, onHost, pack = false, spread = false, distinctHosts = false } = flags;
  if (pack && spread)
    throw new UsageError("Either --pack or --spread: machines cannot be laid out both ways.");
  if (hostLabel === undefined && onHost === undefined && !pack && !spread && !distinctHosts) return undefined;
  return {
    hostLabels: mapToProto(hostLabel),
    hostNumber: onHost,
    strategy: pack ? PlacementStrategy.PACK : PlacementStrategy.SPREAD,
    distinctHosts,
  };
}
