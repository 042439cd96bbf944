import type { Violations } from "../../lib/runtime/violations.ts";

/** How machines are laid out over hosts that would do. */
export type Strategy = "spread" | "pack";

/** Constraints and wishes as to the host of a machine; read when it is placed. */
export interface Placement {
  /** Labels that the host must have, with these values. */
  readonly hostLabels: Readonly<Record<string, string>>;
  /** Only the host of this number. */
  readonly hostNumber?: number;
  readonly strategy: Strategy;
  /** Never two machines of the app on one host. */
  readonly distinctHosts: boolean;
}

/** The same as a caller wrote it. */
export interface PlacementInput {
  readonly hostLabels: Readonly<Record<string, string>>;
  readonly hostNumber: number | undefined;
  /** Undefined: not one of the known ones. */
  readonly strategy: Strategy | undefined;
  readonly distinctHosts: boolean;
}

const MAX_LABELS = 16;
const KEY = /^[a-z0-9][a-z0-9._/-]{0,62}$/;
const MAX_VALUE_BYTES = 63;
const MAX_HOST_NUMBER = 2 ** 20 - 1;

/** Checks a placement and adds every problem. Undefined when it asks for nothing, so that it makes no difference to what is stored. */
export function validatePlacement(input: PlacementInput, violations: Violations): Placement | undefined {
  const { hostLabels, hostNumber, strategy, distinctHosts } = input;
  const labels = Object.entries(hostLabels);
  const add = (field: string, description: string) => violations.add(`placement.${field}`, description);
  if (labels.length > MAX_LABELS) add("host_labels", `must have at most ${MAX_LABELS} entries`);
  for (const [key, value] of labels.slice(0, MAX_LABELS)) {
    if (!KEY.test(key)) add(`host_labels[${JSON.stringify(key)}]`, "must have a key like disk or gpu/model");
    if (Buffer.byteLength(value) > MAX_VALUE_BYTES)
      add(`host_labels[${JSON.stringify(key)}]`, `must have a value of at most ${MAX_VALUE_BYTES} bytes`);
  }
  if (hostNumber !== undefined && !(hostNumber >= 0 && hostNumber <= MAX_HOST_NUMBER))
    add("host_number", `must be from 0 to ${MAX_HOST_NUMBER}`);
  if (strategy === undefined) add("strategy", "must be spread or pack");
  if (labels.length === 0 && hostNumber === undefined && strategy === "spread" && !distinctHosts)
    return undefined;
  return {
    hostLabels,
    ...(hostNumber === undefined ? {} : { hostNumber }),
    strategy: strategy ?? "spread",
    distinctHosts,
  };
}
