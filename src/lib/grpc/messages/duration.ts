import type { Duration } from "../../../gen/google/protobuf/duration.ts";

export function durationFromProto(duration: Duration): number;
export function durationFromProto(duration: Duration | undefined): number | undefined;
/** Milliseconds of a duration; undefined when it is absent. */
export function durationFromProto(duration: Duration | undefined): number | undefined {
  return duration && Number(duration.seconds) * 1_000 + duration.nanos / 1e6;
}

export function durationToProto(ms: number): Duration;
export function durationToProto(ms: number | undefined): Duration | undefined;
/** A duration of so many milliseconds; absent when undefined. */
export function durationToProto(ms: number | undefined): Duration | undefined {
  if (ms === undefined) return undefined;
  const seconds = Math.floor(ms / 1_000);
  const nanos = Math.round((ms - seconds * 1_000) * 1e6);
  // A duration of a whole second of nanoseconds is not valid.
  return nanos < 1e9 ? { seconds: BigInt(seconds), nanos } : { seconds: BigInt(seconds + 1), nanos: 0 };
}
