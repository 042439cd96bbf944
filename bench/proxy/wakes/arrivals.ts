/** Returns the times of arrivals of a Poisson process, in milliseconds from its begin. */
export function poissonArrivals(perSecond: number, durationMs: number, random: () => number): number[] {
  const arrivals: number[] = [];
  for (let at = gapMs(perSecond, random); at < durationMs; at += gapMs(perSecond, random)) arrivals.push(at);
  return arrivals;
}

/** Returns the time to the next arrival; it has an exponential distribution. */
function gapMs(perSecond: number, random: () => number): number {
  return (-1_000 * Math.log(1 - random())) / perSecond;
}

/** Puts samples into windows of the same length, by the times at which they began. The windows begin at 0. */
export function windowsOf<S extends { readonly atMs: number }>(
  samples: readonly S[],
  windowMs: number,
  count: number,
): readonly (readonly S[])[] {
  return Array.from({ length: count }, (_, i) =>
    samples.filter(({ atMs }) => atMs >= i * windowMs && atMs < (i + 1) * windowMs),
  );
}

/** Numbers between 0 and 1, always the same ones of a seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
