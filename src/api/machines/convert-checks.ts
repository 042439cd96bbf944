import type * as wire from "../../gen/windhover/machines/v1/machine.ts";
import { timeToProto } from "../requests/convert-time.ts";
import type { CheckStatus } from "./machine.ts";

/** As many as a valid configuration has: 16 services of 8 checks, and 16 checks of the machine. */
const MAX_CHECKS = 144;
const MAX_OUTPUT_CHARACTERS = 512;
const MAX_NAME_CHARACTERS = 128;

/** Converts the checks that a host reports, which it may not make larger than the contract says. */
export function checksFromProto(checks: readonly wire.CheckStatus[]): readonly CheckStatus[] {
  return checks.slice(0, MAX_CHECKS).map(({ name, status, output, updateTime, readiness }) => ({
    name: name.slice(0, MAX_NAME_CHARACTERS),
    status: status.slice(0, MAX_NAME_CHARACTERS),
    output: output.slice(0, MAX_OUTPUT_CHARACTERS).toWellFormed(),
    updateTimeMs: updateTime?.getTime() ?? 0,
    readiness,
  }));
}

export function checkToProto({ updateTimeMs, ...check }: CheckStatus): wire.CheckStatus {
  return { ...check, updateTime: timeToProto(updateTimeMs) };
}
