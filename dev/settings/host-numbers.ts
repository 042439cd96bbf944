/** Which host is where. */
export interface HostPlace {
  /** Unique in the world: part of every id of a machine on this host. */
  readonly number: number;
  readonly region: string;
}

/**
 * Gives each region so many hosts with numbers that are unique in the world. A region keeps the numbers it had before, since its machines carry
 * them; what is new gets the lowest that are free, and rather one that no other region had.
 */
export function assignHosts(
  regions: readonly string[],
  perRegion: number,
  before: readonly HostPlace[] = [],
): readonly HostPlace[] {
  const taken = new Set(before.map(({ number }) => number));
  const hosts = regions.flatMap((region) => {
    const kept = before.filter((host) => host.region === region).map(({ number }) => number);
    const numbers = kept.toSorted((a, b) => a - b).slice(0, perRegion);
    for (let number = 1; numbers.length < perRegion; number++) {
      if (taken.has(number)) continue;
      taken.add(number);
      numbers.push(number);
    }
    return numbers.map((number) => ({ number, region }));
  });
  return hosts.toSorted((a, b) => a.number - b.number);
}
