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
import { machineToJson } from "../convert/convert-machine.ts";
import { formatDuration, parseDuration } from "../convert/duration.ts";
import { duration, item, list, needed, object, text, textMap } from "../convert/fields.ts";
import { requestIdOf } from "../requests/idempotency.ts";
import { TIMEOUT_MS } from "../requests/limits.ts";
import { type Route, route } from "../requests/route.ts";

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
      const { body } = request.read();
      const violations = new Violations();
      const steps = (body.steps ?? []).map((each, i) =>
        violations.collect(() => stepFromJson(each, givenStep(request.arrived.body["steps"], i), i)),
      );
      violations.throwIfAny();
      const found = await request.unary(
        AcquireMachineRequest.fromPartial({
          steps: steps.filter((each) => each !== undefined),
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

/** The configuration of a step as it came. */
function givenStep(steps: unknown, index: number): unknown {
  const given: unknown = Array.isArray(steps) ? steps[index]?.launch?.config : undefined;
  return given;
}

function wrongKind(field: string): Violation {
  return { field, description: `must have exactly one of ${KINDS.join(", ")}` };
}

function timeOf(text: string | undefined) {
  return text === undefined ? undefined : durationToProto(parseDuration(text));
}
