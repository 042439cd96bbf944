import { z } from "zod";
import {
  AcquireMachineRequest,
  AcquireServiceService,
  AcquireStep,
} from "../../../gen/windhover/machines/v1/acquire.ts";
import { invalid, type Violation } from "../../../lib/faults/fault.ts";
import { Violations } from "../../../lib/faults/violations.ts";
import { durationFromProto, durationToProto } from "../../../lib/grpc/messages/duration.ts";
import { mapToProto } from "../../../lib/grpc/messages/maps.ts";
import { configSchema } from "../convert/config/config-schema.ts";
import { configFromJson } from "../convert/config/convert-config.ts";
import { ignoredMembers, warningOf } from "../convert/config/convert-ignored.ts";
import { otherProblems } from "../convert/config/convert-problems.ts";
import { machineToJson } from "../convert/convert-machine.ts";
import { formatDuration, parseDuration } from "../convert/duration.ts";
import { duration, item, list, needed, object, text, textMap } from "../convert/fields.ts";
import { isObject } from "../convert/json.ts";
import { requestIdOf } from "../requests/idempotency.ts";
import { TIMEOUT_MS } from "../requests/limits.ts";
import { type Route, route } from "../requests/route.ts";

/** More are refused. */
const MAX_STEPS = 8;
const KINDS = ["start", "start_any", "launch"] as const;

const step = item({
  start: object({ machine_id: needed(text()) }).describe("Starts this machine."),
  start_any: object({ app: needed(text()), region: text(), metadata: textMap() }).describe(
    "Starts any stopped machine of an app that has these entries of metadata.",
  ),
  launch: object({ app: needed(text()), config: needed(configSchema), region: text() }).describe(
    "Creates a machine.",
  ),
  timeout: duration(),
});

type StepJson = z.output<typeof step>;

export const acquireRoutes: readonly Route[] = [
  route({
    method: "POST",
    path: "/v1/acquire",
    tag: "Acquire",
    summary: "Gets a started machine by the first of several steps that works.",
    description:
      "Not part of the Fly Machines API. `key`, or an `Idempotency-Key`, makes it safe to repeat: the same key gives the same machine.",
    answer: "acquired",
    rpc: AcquireServiceService.acquireMachine,
    timeoutMs: TIMEOUT_MS.create,
    body: z.looseObject({
      steps: needed(list(step).describe("1 to 8, in the order in which they are tried.")),
      key: text(),
      timeout: duration().describe("For all steps. Default 60s."),
      hedge_after: duration().describe(
        "Begins the next step when one has not ended after so long; 0s: never.",
      ),
    }),
    async handle(request) {
      const violations = new Violations();
      const { steps: given } = request.arrived.body;
      const body = violations.collect(() => request.read().body);
      const read = (body?.steps ?? []).map((each, i) =>
        violations.collect(() => stepFromJson(each, givenConfig(given, i), i)),
      );
      // When nothing is wrong by its form, the api checks the values.
      if (violations.any) addValues(violations, given);
      violations.throwIfAny();
      if (body === undefined) throw invalid([]);
      const steps = read.filter((each) => each !== undefined);
      const found = await request.unary(
        AcquireMachineRequest.fromPartial({
          steps,
          key: body.key || requestIdOf(request.arrived.headers["idempotency-key"]),
          timeout: timeOf(body.timeout),
          hedgeAfter: timeOf(body.hedge_after),
        }),
      );
      return {
        body: {
          ...(found.machine ? { app: found.machine.app, machine: machineToJson(found.machine) } : {}),
          step: found.step,
          repeated: found.repeated,
          ...warningsOf(steps),
          attempts: found.attempts.map((attempt) => ({
            step: attempt.step,
            ...(attempt.machineId === "" ? {} : { machine_id: attempt.machineId }),
            outcome: attempt.outcome,
            ...(attempt.reason === "" ? {} : { reason: attempt.reason, message: attempt.message }),
            duration: formatDuration(durationFromProto(attempt.duration) ?? 0),
          })),
        },
      };
    },
  }),
];

/** @throws Fault INVALID_FIELDS */
function stepFromJson(json: StepJson, given: unknown, index: number): AcquireStep {
  const at = `steps[${index}]`;
  const kinds = KINDS.filter((kind) => json[kind] !== undefined);
  if (kinds.length !== 1) throw invalid([wrongKind(at)]);
  const timeout = timeOf(json.timeout);
  const { start, start_any: any, launch } = json;
  if (start) {
    const value = { machineId: start.machine_id ?? "" };
    return AcquireStep.fromPartial({ timeout, step: { $case: "start", value } });
  }
  if (any) {
    const value = { app: any.app ?? "", region: any.region ?? "", metadata: mapToProto(any.metadata) };
    return AcquireStep.fromPartial({ timeout, step: { $case: "startAny", value } });
  }
  const config = configFromJson(given ?? {}, `${at}.launch.config`);
  const value = { app: launch?.app ?? "", region: launch?.region ?? "", config };
  return AcquireStep.fromPartial({ timeout, step: { $case: "launch", value } });
}

/** Adds the values of configurations that are wrong, besides what is wrong by its form. */
function addValues(violations: Violations, steps: unknown): void {
  const named = violations.all;
  for (let i = 0; Array.isArray(steps) && i < Math.min(steps.length, MAX_STEPS); i++) {
    const at = `steps[${i}].launch.`;
    const config = givenConfig(steps, i);
    if (!isObject(config)) continue;
    const own = named.filter(({ field }) => field.startsWith(at));
    const known = own.map(({ field, description }) => ({ field: field.slice(at.length), description }));
    for (const { field, description } of otherProblems(config, known))
      violations.add(`${at}${field}`, description);
  }
}

/** Names what is kept of the configurations and not acted on, as a member of the answer. */
function warningsOf(steps: readonly AcquireStep[]): { readonly warnings?: string[] } {
  const warnings = steps.flatMap(({ step: each }, i) =>
    each?.$case === "launch" && each.value.config
      ? ignoredMembers(each.value.config).map((name) => warningOf(`steps[${i}].launch.${name}`))
      : [],
  );
  return warnings.length > 0 ? { warnings } : {};
}

/** The configuration of a step as it came. */
function givenConfig(steps: unknown, index: number): unknown {
  const given: unknown = Array.isArray(steps) ? steps[index]?.launch?.config : undefined;
  return given;
}

function wrongKind(field: string): Violation {
  return { field, description: `must have exactly one of ${KINDS.join(", ")}` };
}

function timeOf(text: string | undefined) {
  return text === undefined ? undefined : durationToProto(parseDuration(text));
}
