import type { Violations } from "../../lib/faults/violations.ts";
import { MAX_HOST_NUMBER } from "../machines/ids/machine-id.ts";

export type Strategy = "spread" | "pack";

/** Constraints and wishes as to the host of a new machine. */
export interface Placement {
  /** Labels that the host must have, with these values. */
  readonly hostLabels: Readonly<Record<string, string>>;
  readonly hostNumber?: number;
  readonly strategy: Strategy;
  /** Never two machines of the app on one host. */
  readonly distinctHosts: boolean;
}

/** A placement that is not validated. */
export interface PlacementInput {
  readonly hostLabels: Readonly<Record<string, string>>;
  readonly hostNumber: number | undefined;
  /** Undefined: not a known strategy. */
  readonly strategy: Strategy | undefined;
  readonly distinctHosts: boolean;
}

const MAX_LABELS = 16;
const KEY = /^[a-z0-9][a-z0-9._/-]{0,62}$/;
const MAX_VALUE_BYTES = 63;

/** Adds every violation. Returns undefined for a placement that constrains nothing. */
export function validatePlacement(input: PlacementInput, violations: Violations): Placement | undefined {
  const { hostLabels, hostNumber, strategy, distinctHosts } = input;
  const labels = Object.entries(hostLabels);
  const check = (holds: boolean, field: string, description: string) =>
    violations.check(holds, `placement.${field}`, description);
  check(labels.length <= MAX_LABELS, "host_labels", `must have at most ${MAX_LABELS} entries`);
  for (const [key, value] of labels.slice(0, MAX_LABELS)) {
    const field = `host_labels[${JSON.stringify(key)}]`;
    check(KEY.test(key), field, "must have a key like disk or gpu/model");
    const fits = Buffer.byteLength(value) <= MAX_VALUE_BYTES;
    check(fits, field, `must have a value of at most ${MAX_VALUE_BYTES} bytes`);
    check(!/\p{Cc}/u.test(value), field, "must have a value without control characters");
  }
  const isHost = hostNumber === undefined || (hostNumber >= 0 && hostNumber <= MAX_HOST_NUMBER);
  check(isHost, "host_number", `must be from 0 to ${MAX_HOST_NUMBER}`);
  check(strategy !== undefined, "strategy", "must be spread or pack");
  if (labels.length === 0 && hostNumber === undefined && strategy === "spread" && !distinctHosts)
    return undefined;
  return {
    hostLabels,
    ...(hostNumber === undefined ? {} : { hostNumber }),
    strategy: strategy ?? "spread",
    distinctHosts,
  };
}
