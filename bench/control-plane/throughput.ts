import type { Progress } from "../../scripts/lib/progress.ts";
import { concurrently } from "../lib/concurrently.ts";
import type { BenchFleet } from "../lib/fleet.ts";
import type { Report } from "../lib/report.ts";

const AT_ONCE = 16;
/** Within the quota that an organisation has at first. */
const MACHINES = 64;

/** Creates and starts with 16 under way at any moment: how many a second, and how long each takes then. */
export async function measureThroughput(
  fleet: BenchFleet,
  rounds: number,
  report: Report,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const created = new Rounds();
  const started = new Rounds();
  await progress.step(`${AT_ONCE} at once`, async (say) => {
    for (let round = 0; round < rounds; round++) {
      signal.throwIfAborted();
      say(`round ${round + 1} of ${rounds}`);
      const ids: string[] = [];
      await created.measure(Array.from({ length: MACHINES }), async () => {
        signal.throwIfAborted();
        ids.push((await fleet.create()).id);
      });
      await started.measure(ids, (id) => fleet.clients.start(id));
      await concurrently(ids, AT_ONCE, (id) => fleet.clients.destroy(id, true));
    }
  });
  report.add("start_at_16", "ms", started.ms);
  report.add("create_at_16", "ms", created.ms);
  report.add("starts_per_second", "1/s", started.rates);
  report.add("creates_per_second", "1/s", created.rates);
  report.note(
    `rates are of ${MACHINES} each, with ${AT_ONCE} at once; their p50 is the typical round, their max the best`,
  );
}

/** Latencies of single operations, and the rate of each round. */
class Rounds {
  readonly ms: number[] = [];
  readonly rates: number[] = [];

  async measure<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
    const startedAt = performance.now();
    await concurrently(items, AT_ONCE, async (item) => {
      const at = performance.now();
      await work(item);
      this.ms.push(performance.now() - at);
    });
    this.rates.push((1_000 * items.length) / (performance.now() - startedAt));
  }
}
