/** Converts a time; absent when it is 0 or undefined, which mean unknown. */
export function timeToProto(ms: number | undefined): Date | undefined {
  return ms ? new Date(ms) : undefined;
}
