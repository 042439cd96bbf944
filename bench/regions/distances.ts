/** The regions. The first has Postgres. */
export const REGIONS = ["ord", "gru", "ams"] as const;

/** Every pair of regions: that of the api, and that of the machine. */
export const PAIRS = REGIONS.flatMap((from) => REGIONS.map((to) => [from, to] as const));

/** Round trips in ms, about those of the internet between Chicago, São Paulo and Amsterdam. */
const ROUND_TRIPS: Readonly<Record<string, number>> = { "gru-ord": 120, "ams-ord": 90, "ams-gru": 190 };

/** Returns the round trip between two regions; 0 within one. */
export function roundTripMs(a: string, b: string): number {
  return ROUND_TRIPS[[a, b].sort().join("-")] ?? 0;
}
