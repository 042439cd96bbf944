import type { Duration } from "../gen/google/protobuf/duration.ts";

/** Converts milliseconds to a duration of the contract, e.g. for `config.stopConfig.timeout`. */
export function duration(ms: number): Duration {
  const whole = Math.trunc(ms / 1_000);
  const nanos = Math.round((ms - whole * 1_000) * 1e6);
  // A duration of a whole second of nanoseconds is not valid.
  return nanos < 1e9 ? { seconds: BigInt(whole), nanos } : { seconds: BigInt(whole + 1), nanos: 0 };
}

/** Converts an optional number of milliseconds. */
export function durationOrNone(ms: number | undefined): Duration | undefined {
  return ms === undefined ? undefined : duration(ms);
}

/** Converts a duration of the contract to milliseconds. */
export function toMs({ seconds, nanos }: Duration): number {
  return Number(seconds) * 1_000 + nanos / 1e6;
}
