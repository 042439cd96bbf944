import { expect, test } from "vitest";
import { fromServiceError, toServiceError } from "../../lib/grpc/status.ts";
import type { Attempt } from "./acquire.ts";
import { acquireTimeout, noStepWorked } from "./faults.ts";

const attempts = (count: number) =>
  Array.from(
    { length: count },
    (_, step): Attempt => ({
      ...{ step: step % 8, machineId: "00001aaaaaaaaa", outcome: "failed", durationMs: 12_345 },
      ...{ reason: "INSUFFICIENT_CAPACITY", message: "m".repeat(200) },
    }),
  );

test.each([noStepWorked, acquireTimeout])(
  "the attempts arrive as JSON: those of all steps, and of more as many as have room (%o)",
  (faultOf) => {
    const arrived = (count: number) => fromServiceError(toServiceError(faultOf(attempts(count)))).facts;

    const [few, many] = [arrived(8), arrived(256)];

    expect(JSON.parse(few["attempts"] ?? "")).toHaveLength(8);
    expect(few).not.toHaveProperty("attempts_left_out");
    const shown = JSON.parse(many["attempts"] ?? "");
    expect(shown[0]).toMatchObject({ step: 0, reason: "INSUFFICIENT_CAPACITY", duration_ms: 12_345 });
    expect(shown.length + Number(many["attempts_left_out"])).toBe(256);
  },
);
