import { Fault, invalid, type Violation } from "../../lib/fault.ts";
import type { CreateRequest } from "./create-state.ts";
import { checkAppName, checkMachineName, checkRequestId } from "./names.ts";
import { type PlacementInput, validatePlacement } from "./placement.ts";
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
 * @param region the region this api serves, the only one it can place machines in
 * @throws Fault INVALID_FIELDS with every problem; `REGION_UNKNOWN` when that is the only one
 */
export function validateCreate(input: CreateInput, region: string, checkImage: ImageCheck): CreateRequest {
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
  if (input.region !== "" && input.region !== region) throw regionUnknown(input.region, region);
  const { org, app, name, skipLaunch } = input;
  return { org, app, name, region, config, skipLaunch, ...(placement ? { placement } : {}) };
}

function regionUnknown(asked: string, served: string): Fault {
  return new Fault(
    "INVALID_ARGUMENT",
    "REGION_UNKNOWN",
    `this api places machines in ${served}, not in ${asked}; ask the api of that region, or leave the region out`,
    { region: asked, served },
    { violations: [{ field: "region", description: `must be ${served} or absent` }] },
  );
}
