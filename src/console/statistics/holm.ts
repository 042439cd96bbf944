/** Corrects probabilities of several tests by Holm's method, so that many tests find no more by chance than one. */
export function holm(ps: readonly number[]): number[] {
  const order = ps.map((p, i) => [p, i] as const).toSorted(([a], [b]) => a - b);
  const corrected: number[] = [];
  let least = 0;
  for (const [rank, [p, i]] of order.entries()) {
    least = Math.max(least, Math.min(1, p * (ps.length - rank)));
    corrected[i] = least;
  }
  return corrected;
}
