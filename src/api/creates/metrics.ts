import {
  counter,
  gauge,
  OUTCOMES,
  type OutcomeLabel,
  outcomeOf,
  secondsHistogram,
} from "../../lib/otel/metrics.ts";

/** From a local image to one from a distant registry. */
const BUCKETS = [0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900];

const createSeconds = secondsHistogram(
  "windhover_create_duration_seconds",
  "Duration of creates as their callers see them, with the first start unless it is skipped.",
  ["outcome"],
  BUCKETS,
);
for (const outcome of OUTCOMES) createSeconds.zero({ outcome });

export const createsEnded = counter(
  "windhover_creates_total",
  "Creates that ended here: done, undone, stuck in undoing, or left for another to go on with.",
  ["outcome"],
);
for (const outcome of ["done", "undone", "stuck", "left"]) createsEnded.inc({ outcome }, 0);

export async function measureCreate<T>(create: () => Promise<T>): Promise<T> {
  const since = performance.now();
  let outcome: OutcomeLabel = "ok";
  try {
    return await create();
  } catch (err) {
    outcome = outcomeOf(err);
    throw err;
  } finally {
    createSeconds.observe({ outcome }, (performance.now() - since) / 1_000);
  }
}

/** Must be called once per process. */
export function exposeCreates(runner: { readonly size: number; readonly stuck: number }): void {
  gauge("windhover_creates_in_progress", "Creates that run here.", () => runner.size);
  gauge(
    "windhover_creates_stuck",
    "Creates with something that could not be taken back yet, in the whole database.",
    () => runner.stuck,
  );
}
