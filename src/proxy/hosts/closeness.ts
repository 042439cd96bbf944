/** A host as far as closeness goes. */
export interface HostDistance {
  readonly region: string;
  readonly rttMs: number | undefined;
}

/**
 * Ranks regions: the proxy's own first, then by the shortest round trip to any of their hosts, then by
 * name. Round trips that differ by less than a quarter count as equal, so that the order stays.
 */
export function rankRegions(own: string, hosts: Iterable<HostDistance>): ReadonlyMap<string, number> {
  const nearest = new Map<string, number>();
  for (const { region, rttMs } of hosts) {
    const known = nearest.get(region) ?? Number.POSITIVE_INFINITY;
    nearest.set(region, Math.min(known, rttMs ?? Number.POSITIVE_INFINITY));
  }
  const order = [...nearest].sort(
    ([a, aMs], [b, bMs]) =>
      Number(b === own) - Number(a === own) || compareNumbers(step(aMs), step(bMs)) || (a < b ? -1 : 1),
  );
  return new Map(order.map(([region], rank) => [region, rank]));
}

function step(ms: number): number {
  return Number.isFinite(ms) ? Math.round(Math.log(Math.max(ms, 0.1)) / Math.log(1.25)) : ms;
}

/** Infinity less itself is no number. */
function compareNumbers(a: number, b: number): number {
  return a === b ? 0 : a - b;
}
