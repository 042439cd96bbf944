import type * as wire from "../../gen/windhover/machines/v1/acquire.ts";
import { MachineConfig } from "../../gen/windhover/machines/v1/machine.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { Violations } from "../../lib/faults/violations.ts";
import { durationFromProto } from "../../lib/grpc/messages/duration.ts";
import { mapFromProto } from "../../lib/grpc/messages/maps.ts";
import { validateCreate } from "../creates/validate-create.ts";
import { configInputFromProto } from "../machines/config/convert-config.ts";
import type { ImageCheck } from "../machines/config/validate-config.ts";
import { checkMetadataFilter } from "../machines/config/validate-metadata.ts";
import { MACHINE_ID_FORM, parseMachineId } from "../machines/ids/machine-id.ts";
import { placementFromProto } from "../regions/convert-placement.ts";
import { type KnownRegions, resolveRegions } from "../regions/regions.ts";
import { checkAppName, checkRequestId } from "../requests/names.ts";
import type { AcquireRequest, Step } from "./acquire.ts";

const MAX_STEPS = 8;
const DEFAULT_TIMEOUT_MS = 60_000;
const MAX_TIMEOUT_MS = 900_000;
const DEFAULT_HEDGE_MS = 2_000;

/** Converts and validates a request. @throws Fault INVALID_FIELDS with the violations of all steps */
export function acquireFromProto(
  request: wire.AcquireMachineRequest,
  org: string,
  regions: KnownRegions,
  checkImage: ImageCheck,
): AcquireRequest {
  const violations = new Violations();
  const { steps, key } = request;
  violations.check(
    steps.length >= 1 && steps.length <= MAX_STEPS,
    "steps",
    `must have 1 to ${MAX_STEPS} entries`,
  );
  if (key !== "") violations.add("key", checkRequestId(key));
  const timeoutMs = durationFromProto(request.timeout) ?? DEFAULT_TIMEOUT_MS;
  const isTimeout = timeoutMs >= 1 && timeoutMs <= MAX_TIMEOUT_MS;
  violations.check(isTimeout, "timeout", "must be 1 ms to 15 min");
  const hedgeMs = durationFromProto(request.hedgeAfter) ?? DEFAULT_HEDGE_MS;
  violations.check(hedgeMs >= 0 && hedgeMs <= MAX_TIMEOUT_MS, "hedge_after", "must be 0 to 15 min");
  const valid = steps.slice(0, MAX_STEPS).map((step, index) => {
    const field = `steps[${index}]`;
    return under(field, violations, () => stepFromProto(step, org, regions, checkImage));
  });
  violations.throwIfAny();
  return {
    ...{ org, key: key === "" ? undefined : key, timeoutMs },
    hedgeAfterMs: hedgeMs === 0 ? undefined : hedgeMs,
    steps: valid.filter((step) => step !== undefined),
  };
}

function stepFromProto(
  { step, timeout }: wire.AcquireStep,
  org: string,
  regions: KnownRegions,
  checkImage: ImageCheck,
): Step {
  const violations = new Violations();
  const timeoutMs = durationFromProto(timeout);
  const isTimeout = timeoutMs === undefined || (timeoutMs >= 1 && timeoutMs <= MAX_TIMEOUT_MS);
  violations.check(isTimeout, "timeout", "must be 1 ms to 15 min");
  const parsed =
    step && under(step.$case === "startAny" ? "start_any" : step.$case, violations, () => partOf(step));
  violations.check(step !== undefined, "step", "must be one of start, start_any, launch");
  violations.throwIfAny();
  if (!parsed) throw violations.fault();
  return { ...parsed, timeoutMs };

  function partOf(part: NonNullable<typeof step>) {
    switch (part.$case) {
      case "start":
        return startFromProto(part.value);
      case "startAny":
        return startAnyFromProto(part.value, regions);
      case "launch":
        return { kind: "launch" as const, request: launchFromProto(part.value, org, regions, checkImage) };
    }
  }
}

function startFromProto({ machineId }: wire.StartMachineStep) {
  const id = parseMachineId(machineId);
  if (id) return { kind: "start" as const, machineId: id };
  const violations = new Violations();
  violations.add("machine_id", MACHINE_ID_FORM);
  throw violations.fault();
}

function startAnyFromProto({ app, region, metadata }: wire.StartAnyStep, known: KnownRegions) {
  const violations = new Violations();
  violations.add("app", checkAppName(app));
  checkMetadataFilter(metadata, violations);
  const regions = region === "" ? [] : violations.collect(() => resolveRegions(region, known));
  violations.throwIfAny();
  return {
    kind: "start_any" as const,
    app,
    regions: regions ?? [],
    regionAsked: region,
    metadata: mapFromProto(metadata),
  };
}

function launchFromProto(
  { app, config, region, placement }: wire.LaunchStep,
  org: string,
  regions: KnownRegions,
  checkImage: ImageCheck,
) {
  const input = {
    ...{ org, app, region, name: "", skipLaunch: false, requestId: "", subject: "", leaseTtlMs: undefined },
    config: config && configInputFromProto(config),
    configBytes: config ? MachineConfig.encode(config).finish().length : 0,
    placement: placementFromProto(placement),
  };
  return validateCreate(input, regions, checkImage);
}

/** Parses a part of the request, and adds its violations with `field` in front of their paths. */
function under<T>(field: string, violations: Violations, parse: () => T): T | undefined {
  try {
    return parse();
  } catch (err) {
    if (!(err instanceof Fault) || err.violations.length === 0) throw err;
    for (const each of err.violations) violations.add(`${field}.${each.field}`, each.description);
    return undefined;
  }
}
