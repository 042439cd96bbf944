import { Violations } from "../../lib/faults/violations.ts";
import { checkTtl } from "../leases/leases.ts";
import { type ConfigInput, type ImageCheck, requireConfig } from "../machines/config/validate-config.ts";
import { type PlacementInput, validatePlacement } from "../regions/placement.ts";
import { type KnownRegions, resolveRegions } from "../regions/regions.ts";
import { checkAppName, checkMachineName, checkRequestId } from "../requests/names.ts";
import type { CreateRequest } from "./store/create-state.ts";

/** A create that is not validated. */
export interface CreateInput {
  readonly org: string;
  readonly app: string;
  readonly name: string;
  readonly region: string;
  readonly config: ConfigInput | undefined;
  /** Encoded size of the configuration. */
  readonly configBytes: number;
  readonly skipLaunch: boolean;
  readonly cordoned?: boolean;
  readonly requestId: string;
  readonly placement: PlacementInput | undefined;
  /** Subject of the caller's token. */
  readonly subject: string;
  /** How long the caller has a lease on the new machine. Undefined: none. */
  readonly leaseTtlMs: number | undefined;
}

/** @throws Fault INVALID_FIELDS; `REGION_UNKNOWN` when only the region is wrong */
export function validateCreate(
  input: CreateInput,
  regions: KnownRegions,
  checkImage: ImageCheck,
): CreateRequest {
  const violations = new Violations();
  violations.add("app", checkAppName(input.app));
  const config = requireConfig(input.config, input.configBytes, checkImage, violations);
  if (input.name !== "") violations.add("name", checkMachineName(input.name));
  if (input.requestId !== "") violations.add("request_id", checkRequestId(input.requestId));
  const placement = input.placement && validatePlacement(input.placement, violations);
  const { org, app, name, region, skipLaunch, subject: owner, leaseTtlMs: ttlMs } = input;
  if (ttlMs !== undefined) checkTtl("lease_ttl", ttlMs, violations);
  if (violations.any || !config) {
    violations.collect(() => resolveRegions(region, regions));
    throw violations.fault();
  }
  return {
    ...{ org, app, name, config, skipLaunch },
    regions: resolveRegions(region, regions),
    regionAsked: region,
    ...(placement ? { placement } : {}),
    // Absent in requests that were hashed before there was this field.
    ...(input.cordoned ? { cordoned: true } : {}),
    ...(ttlMs === undefined ? {} : { lease: { ttlMs, owner } }),
  };
}
