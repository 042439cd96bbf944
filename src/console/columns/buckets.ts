/** Names the power of two that a count falls into: `0`, `1`, `2-3`, `4-7`, ... */
export function bucketOf(count: number): string {
  if (!(count >= 1)) return "0";
  const exponent = Math.floor(Math.log2(count));
  const low = 2 ** exponent;
  return low === 1 ? "1" : `${low}-${2 * low - 1}`;
}

/** Compares two buckets by their counts. */
export function compareBuckets(a: string, b: string): number {
  return Number.parseInt(a, 10) - Number.parseInt(b, 10);
}
