import { type OutcomeLabel, outcomeOf, secondsHistogram } from "../../lib/otel/metrics.ts";

/** As of hostd's `windhover_start_duration_seconds`: the difference is the network and the api. */
const BUCKETS = [
  ...[0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15, 0.2],
  ...[0.3, 0.4, 0.6, 0.9, 1.5, 3, 5, 10, 20, 30, 60],
];

const startSeconds = secondsHistogram(
  "windhover_api_start_duration_seconds",
  "Duration of starts as the api sees them, the host's part included.",
  ["start_path", "outcome"],
  BUCKETS,
);
for (const startPath of ["warm", "template", "cold"])
  startSeconds.zero({ start_path: startPath, outcome: "ok" });

export async function measureStart<
  T extends { readonly startPath: string; readonly alreadyStarted: boolean },
>(start: () => Promise<T>): Promise<T> {
  const since = performance.now();
  let startPath = "none";
  let outcome: OutcomeLabel = "ok";
  try {
    const started = await start();
    startPath = started.alreadyStarted ? "already" : started.startPath;
    return started;
  } catch (err) {
    outcome = outcomeOf(err);
    throw err;
  } finally {
    startSeconds.observe({ start_path: startPath, outcome }, (performance.now() - since) / 1_000);
  }
}
