import { type Run, timed } from "../lib/benchmark.ts";
import { median } from "../lib/report/percentiles.ts";
import { table } from "../lib/report/table.ts";
import { PAIRS } from "./distances.ts";
import type { Peer, RegionsWorld } from "./world.ts";

/** Long beside other delays of a loaded machine, so that the quotient is near a whole number. */
const ROUND_TRIP_MS = 150;

/** What is put at a distance, alone or together. */
const DISTANT: Readonly<Record<string, readonly Peer[]>> = {
  postgres: ["postgres"],
  scheduler: ["scheduler"],
  host: ["host"],
  scheduler_and_host: ["scheduler", "host"],
};

/**
 * Counts the round trips that a create waits for, from outside: only one peer is put at a distance,
 * and the create takes so many times that longer.
 */
export async function countRoundTrips(world: RegionsWorld, run: Run): Promise<void> {
  const runs = run.scaled(8, 3);
  const counts = new Map<string, number[]>(Object.keys(DISTANT).map((name) => [name, []]));
  const lines: string[][] = [["api to machine", ...counts.keys()]];
  for (const [from, to] of PAIRS) {
    const typical = async (peers: readonly Peer[]) => {
      world.setDistance((peer) => (peers.includes(peer) ? ROUND_TRIP_MS : 0));
      const name = `round trips from ${from} to ${to}`;
      // The first one does not count: earlier messages still travel at the other distance.
      return median(await run.repeat(name, runs, () => timed(() => world.create(from, to))));
    };
    const near = await typical([]);
    const cells: string[] = [];
    for (const [name, peers] of Object.entries(DISTANT)) {
      const count = ((await typical(peers)) - near) / ROUND_TRIP_MS;
      counts.get(name)?.push(count);
      cells.push(count.toFixed(1));
    }
    lines.push([`${from} to ${to}`, ...cells]);
  }
  world.setDistance(() => 0);
  for (const [name, samples] of counts) run.report.add(`create_trips_to_${name}`, "round trips", samples);
  const title = `Round trips that a create waits for: how much longer it takes when only that peer is ${ROUND_TRIP_MS} ms away, in round trips`;
  run.report.section(title, table(lines));
}
