import { Violations } from "../../lib/runtime/violations.ts";
import { type ConfigInput, type ImageCheck, validateConfig } from "../machines/validate-config.ts";
import { type PlacementInput, validatePlacement } from "../regions/placement.ts";
import { type KnownRegions, resolveRegions } from "../regions/regions.ts";
import { checkAppName, checkMachineName, checkRequestId } from "../requests/names.ts";
import type { CreateRequest } from "./steps/create-state.ts";

/** A create as a caller wrote it. */
export interface CreateInput {
  readonly org: string;
  readonly app: string;
  readonly name: string;
  readonly region: string;
  readonly config: ConfigInput;
  readonly hasConfig: boolean;
  readonly skipLaunch: boolean;
  readonly requestId: string;
  readonly placement: PlacementInput | undefined;
}

/**
 * Checks a whole request and fills in what may be absent. A name stays empty when the server is to make one.
 *
 * @param regions where this api can place machines
 * @throws Fault INVALID_FIELDS with every violation; `REGION_UNKNOWN` when that is the only one
 */
export function validateCreate(
  input: CreateInput,
  regions: KnownRegions,
  checkImage: ImageCheck,
): CreateRequest {
  const violations = new Violations();
  violations.add("app", checkAppName(input.app));
  if (!input.hasConfig) violations.add("config", "is required");
  const config = input.hasConfig ? validateConfig(input.config, checkImage, violations) : undefined;
  if (input.name !== "") violations.add("name", checkMachineName(input.name));
  if (input.requestId !== "") violations.add("request_id", checkRequestId(input.requestId));
  const placement = input.placement && validatePlacement(input.placement, violations);
  if (violations.any || !config) throw violations.fault();
  const places = resolveRegions(input.region, regions);
  const { org, app, name, skipLaunch } = input;
  return {
    ...{ org, app, name, config, skipLaunch },
    region: places[0] ?? regions.own,
    ...(places.length > 1 ? { regions: places } : {}),
    regionAsked: input.region,
    ...(placement ? { placement } : {}),
  };
}
