import { type OutcomeLabel, outcomeOf, START_BUCKETS, secondsHistogram } from "../../lib/otel/metrics.ts";

const startSeconds = secondsHistogram(
  "windhover_api_start_duration_seconds",
  "Duration of starts as the api sees them, the host's part included.",
  ["start_path", "outcome"],
  START_BUCKETS,
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
