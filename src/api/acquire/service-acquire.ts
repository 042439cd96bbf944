import type { AcquireServiceServer } from "../../gen/windhover/machines/v1/acquire.ts";
import { durationToProto } from "../../lib/grpc/messages/duration.ts";
import { unary } from "../../lib/grpc/server/rpc.ts";
import { annotate, attribute } from "../../lib/otel/tracing.ts";
import { hashOf, requestHash } from "../creates/request-hash.ts";
import { checkReference } from "../creates/saga/images.ts";
import { machineToProto } from "../machines/convert-machine.ts";
import type { KnownRegions } from "../regions/regions.ts";
import { authorize } from "../requests/authorize.ts";
import type { Step } from "./acquire.ts";
import type { Acquirer } from "./acquirer.ts";
import { acquireFromProto } from "./convert-acquire.ts";

export function acquireService(acquirer: Acquirer, regions: KnownRegions): AcquireServiceServer {
  return {
    acquireMachine: unary(async (req, ctx) => {
      const caller = authorize(ctx, "machines:write");
      const request = acquireFromProto(req, caller.org, regions, checkReference);
      const acquired = await acquirer.acquire(request, stepsHash(request.steps), caller);
      const { machine, step, repeated } = acquired;
      annotate(attribute.machineId, machine.id);
      const attempts = acquired.attempts.map(({ durationMs, ...attempt }) => ({
        ...attempt,
        duration: durationToProto(durationMs),
      }));
      return { machine: machineToProto(machine, "ok"), step, repeated, attempts };
    }),
  };
}

/**
 * Hashes the steps that a key stands for, without their timeouts and the regions that this api
 * resolved.
 */
function stepsHash(steps: readonly Step[]): Buffer {
  return hashOf(
    steps.map((step) => {
      if (step.kind === "launch") return requestHash(step.request).toString("hex");
      const { timeoutMs: _, ...rest } = step;
      return step.kind === "start_any" ? { ...rest, regions: undefined } : rest;
    }),
  );
}
