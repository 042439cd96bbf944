import { readFileSync } from "node:fs";
import * as z from "zod";
import type {
  AcquireMachineRequest,
  AcquireStep,
  StartAnyStep,
} from "../../../gen/windhover/machines/v1/acquire.ts";
import type { MachineConfig, Placement } from "../../../gen/windhover/machines/v1/machine.ts";
import { durationToProto } from "../../../lib/grpc/messages/duration.ts";
import { mapToProto } from "../../../lib/grpc/messages/maps.ts";
import { UsageError } from "../../session/faults/usage-error.ts";
import { parseConfig } from "../machine/config/config-file.ts";
import { texts } from "../machine/config/schema-fields.ts";
import { duration } from "../values.ts";

/** A flag that adds a step. */
export type StepFlag =
  | { readonly kind: "start"; readonly machineId: string }
  | { readonly kind: "startAny"; readonly region: string }
  | { readonly kind: "launch"; readonly region: string };

/** Options that apply to all steps of flags. */
export interface Common {
  readonly app: string | undefined;
  readonly labels: Readonly<Record<string, string>> | undefined;
  readonly timeoutMs: number | undefined;
  readonly placement: Placement | undefined;
  /** Makes the configuration of launches. */
  config(): MachineConfig;
}

/** Makes the steps that flags describe. @throws UsageError */
export function stepsOf(stepFlags: readonly StepFlag[], common: Common): AcquireStep[] {
  const app = () => {
    if (common.app !== undefined) return common.app;
    throw new UsageError("Which app? Name it with -a.");
  };
  return stepFlags.map((flag): AcquireStep => {
    const timeout = durationToProto(common.timeoutMs);
    if (flag.kind === "start")
      return { step: { $case: "start", value: { machineId: flag.machineId } }, timeout };
    if (flag.kind === "startAny") {
      const value: StartAnyStep = { app: app(), region: flag.region, metadata: mapToProto(common.labels) };
      return { step: { $case: "startAny", value }, timeout };
    }
    const { placement } = common;
    const value = { app: app(), config: common.config(), region: flag.region, placement };
    return { step: { $case: "launch", value }, timeout };
  });
}

const text = z.string("must be a text");
const time = z.union([z.string(), z.number()], 'must be a length of time such as "5s"');
const REQUEST = z.strictObject({
  steps: z.array(
    z.strictObject({
      start: z.strictObject({ machine_id: text }).optional(),
      start_any: z.strictObject({ app: text, region: text.default(""), metadata: texts }).optional(),
      launch: z.strictObject({ app: text, config: z.unknown(), region: text.default("") }).optional(),
      timeout: time.optional(),
    }),
    "must be a list",
  ),
  key: text.default(""),
  timeout: time.optional(),
  hedge_after: time.optional(),
});

/** Reads steps in the shape of AcquireMachineRequest, with times as texts. @throws UsageError */
export function readSteps(path: string): AcquireMachineRequest {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (err) {
    throw new UsageError(`${path} cannot be read as JSON: ${err instanceof Error ? err.message : err}`);
  }
  const { data, error } = REQUEST.safeParse(value);
  if (error) {
    const problems = error.issues.map(
      ({ path: at, message }) => `  - ${z.core.toDotPath(at) || "the file"}: ${message}`,
    );
    throw new UsageError(`${path} is not a request of steps:\n${problems.join("\n")}`);
  }
  const length = (given: string | number | undefined, name: string) => {
    try {
      return given === undefined ? undefined : durationToProto(duration(String(given)));
    } catch {
      throw new UsageError(`${path}: ${name} must be a length of time such as "5s".`);
    }
  };
  return {
    key: data.key,
    timeout: length(data.timeout, "timeout"),
    hedgeAfter: length(data.hedge_after, "hedge_after"),
    steps: data.steps.map(({ start, start_any: any, launch, timeout: given }, i): AcquireStep => {
      const timeout = length(given, `steps[${i}].timeout`);
      const kinds = [start, any, launch].filter((kind) => kind !== undefined);
      if (kinds.length !== 1)
        throw new UsageError(`${path}: steps[${i}] has one of start, start_any and launch.`);
      if (start) return { step: { $case: "start", value: { machineId: start.machine_id } }, timeout };
      if (any) {
        return { step: { $case: "startAny", value: any }, timeout };
      }
      const { app = "", region = "", config } = launch ?? {};
      const value = {
        app,
        region,
        placement: undefined,
        config: parseConfig(config, `${path}: steps[${i}].launch.config`),
      };
      return { step: { $case: "launch", value }, timeout };
    }),
  };
}
