import { invalid, type Violation } from "../../lib/runtime/fault.ts";
import type { CreateRequest } from "./create-state.ts";
import { checkAppName, checkMachineName, checkRequestId } from "./names.ts";
import { type PlacementInput, validatePlacement } from "./placement.ts";
import { type KnownRegions, resolveRegions } from "./regions.ts";
import { type ConfigInput, type ImageCheck, validateConfig } from "./validate-config.ts";

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
 * @throws Fault INVALID_FIELDS with every problem; `REGION_UNKNOWN` when that is the only one
 */
export function validateCreate(
  input: CreateInput,
  regions: KnownRegions,
  checkImage: ImageCheck,
): CreateRequest {
  const problems: Violation[] = [];
  const check = (field: string, description: string | undefined) => {
    if (description !== undefined) problems.push({ field, description });
  };
  check("app", checkAppName(input.app));
  if (!input.hasConfig) check("config", "is required");
  const config = input.hasConfig ? validateConfig(input.config, checkImage, problems) : undefined;
  if (input.name !== "") check("name", checkMachineName(input.name));
  if (input.requestId !== "") check("request_id", checkRequestId(input.requestId));
  const placement = input.placement && validatePlacement(input.placement, problems);
  if (problems.length > 0 || !config) throw invalid(problems);
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
