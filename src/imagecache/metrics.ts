import {
  counter,
  gauge,
  OUTCOMES,
  type OutcomeLabel,
  outcomeOf,
  secondsHistogram,
} from "../lib/otel/metrics.ts";
import type { EnsureStep, Pulled } from "./images.ts";

/** An image of any size over any line: from a small one next door to a large one from far away. */
const PULL_BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];

const requests = counter(
  "windhover_image_requests_total",
  "Requests to make an image local: hit, miss or error; one whose caller went away is not counted.",
  ["result"],
);
for (const result of ["hit", "miss", "error"]) requests.inc({ result }, 0);

const pullSeconds = secondsHistogram(
  "windhover_image_pull_duration_seconds",
  "Duration of pulls, from asked for to ready; what several callers wait for is one pull.",
  ["outcome"],
  PULL_BUCKETS,
);
for (const outcome of OUTCOMES) pullSeconds.zero({ outcome });

/** Layers as they come over the network, also those of pulls that fail. */
export const receivedBytes = counter(
  "windhover_image_pull_bytes_total",
  "Bytes of layers received from registries.",
);

const evictions = counter("windhover_image_evictions_total", "Files removed to make room, by kind.", [
  "kind",
]);
const evictedBytes = counter("windhover_image_evicted_bytes_total", "Disk space made room for, by kind.", [
  "kind",
]);
for (const kind of ["image", "layer"]) {
  evictions.inc({ kind }, 0);
  evictedBytes.inc({ kind }, 0);
}

/** Counts a request by what comes of it. */
export async function* countRequest(
  steps: AsyncIterable<EnsureStep>,
  signal: AbortSignal,
): AsyncGenerator<EnsureStep> {
  try {
    for await (const step of steps) {
      if (step.kind === "ready") requests.inc({ result: step.wasCached ? "hit" : "miss" });
      yield step;
    }
  } catch (err) {
    if (!signal.aborted) requests.inc({ result: "error" });
    throw err;
  }
}

/** Measures a pull. */
export async function measurePull(pull: () => Promise<Pulled>, signal: AbortSignal): Promise<Pulled> {
  const since = performance.now();
  let outcome: OutcomeLabel = "ok";
  try {
    return await pull();
  } catch (err) {
    outcome = signal.aborted ? "cancelled" : outcomeOf(err);
    throw err;
  } finally {
    pullSeconds.observe({ outcome }, (performance.now() - since) / 1_000);
  }
}

/** Counts a file that has gone to make room. */
export function countEviction(kind: "image" | "layer", bytes: number): void {
  evictions.inc({ kind });
  evictedBytes.inc({ kind }, bytes);
}

/** What a cache knows when it is asked. */
export interface CacheView {
  readonly images: { readonly pulling: number; list(after: string, limit: number): readonly unknown[] };
  readonly room: { readonly budgetBytes: number; usedBytes(): Promise<number> };
}

/** Exposes what is known now; once per process. */
export function exposeCache({ images, room }: CacheView): void {
  gauge("windhover_images", "Images that are ready.", () => images.list("", Number.MAX_SAFE_INTEGER).length);
  gauge("windhover_image_pulls_in_progress", "Pulls under way.", () => images.pulling);
  gauge("windhover_image_cache_bytes", "Disk space the cache takes.", () => room.usedBytes());
  gauge("windhover_image_cache_budget_bytes", "Disk space the cache may take.", () => room.budgetBytes);
}
