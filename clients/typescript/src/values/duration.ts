import type { Duration } from "../gen/google/protobuf/duration.ts";

/** Converts milliseconds to a duration of the contract, e.g. for `config.stopConfig.timeout`. */
export function duration(ms: number): Duration {
  const whole = Math.trunc(ms / 1_000);
  return { seconds: BigInt(whole), nanos: Math.round((ms - whole * 1_000) * 1e6) };
}

/** Converts an optional number of milliseconds. */
export function durationOrNone(ms: number | undefined): Duration | undefined {
  return ms === undefined ? undefined : duration(ms);
}

/** Converts a duration of the contract to milliseconds. */
export function toMs({ seconds, nanos }: Duration): number {
  return Number(seconds) * 1_000 + nanos / 1e6;
}
