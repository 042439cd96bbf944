import type { Progress } from "../../tools/lib/progress.ts";
import type { Report } from "../lib/report.ts";
import { table } from "../lib/table.ts";
import { REGIONS } from "./distances.ts";
import type { Peer, RegionsWorld } from "./world.ts";

/** Long beside whatever a loaded machine does in between, so that the quotient is near a whole number. */
const ROUND_TRIP_MS = 150;

/** What is put at a distance, alone or together. */
const PUT_AWAY: readonly (readonly [name: string, ...peers: Peer[]])[] = [
  ["postgres", "postgres"],
  ["scheduler", "scheduler"],
  ["host", "host"],
  ["scheduler_and_host", "scheduler", "host"],
];

/**
 * Counts the round trips that a create waits for, one peer at a time, from outside: only the way to that peer is made longer, and the create takes
 * so many times that longer.
 */
export async function countRoundTrips(
  world: RegionsWorld,
  runs: number,
  report: Report,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const counts = new Map<string, number[]>(PUT_AWAY.map(([name]) => [name, []]));
  const lines: string[][] = [["api to machine", ...PUT_AWAY.map(([name]) => name)]];
  await progress.step("round trips", async (say) => {
    for (const [from, to] of REGIONS.flatMap((a) => REGIONS.map((b) => [a, b] as const))) {
      say(`${from} to ${to}`);
      const near = await median(world, from, to, [], runs, signal);
      const cells: string[] = [];
      for (const [name, ...peers] of PUT_AWAY) {
        const far = await median(world, from, to, peers, runs, signal);
        const count = (far - near) / ROUND_TRIP_MS;
        counts.get(name)?.push(count);
        cells.push(count.toFixed(1));
      }
      lines.push([`${from} to ${to}`, ...cells]);
    }
  });
  world.apart(() => 0);
  for (const [name, samples] of counts) report.add(`create_trips_to_${name}`, "round trips", samples);
  report.section(
    `Round trips that a create waits for, per peer: how much longer it takes when only that peer is ${ROUND_TRIP_MS} ms away, in round trips`,
    table(lines),
  );
}

async function median(
  world: RegionsWorld,
  from: string,
  to: string,
  peers: readonly Peer[],
  runs: number,
  signal: AbortSignal,
): Promise<number> {
  world.apart((peer) => (peers.includes(peer) ? ROUND_TRIP_MS : 0));
  const samples: number[] = [];
  // The first one is on its way while answers of before still travel the short way.
  for (let run = -1; run < runs; run++) {
    signal.throwIfAborted();
    const startedAt = performance.now();
    await world.create(from, to);
    if (run >= 0) samples.push(performance.now() - startedAt);
  }
  return samples.toSorted((a, b) => a - b)[Math.floor(samples.length / 2)] ?? Number.NaN;
}
