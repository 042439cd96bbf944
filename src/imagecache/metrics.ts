import { counter, gauge } from "../lib/otel/metrics.ts";
import type { Sandbox } from "./build/sandbox.ts";
import type { DiskBudget } from "./disk/disk-budget.ts";
import type { EnsureStep, Images } from "./images.ts";

const requests = counter(
  "windhover_image_requests_total",
  "Requests to make an image local: hit, miss or error; one whose caller went away is not counted.",
  ["result"],
);
for (const result of ["hit", "miss", "error"]) requests.inc({ result }, 0);

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

/** Registers gauges of a cache. Must be called once per process. */
export function exposeCache(images: Images, budget: DiskBudget, sandbox: Sandbox): void {
  gauge("windhover_images", "Images that are ready.", () => images.list("", Number.MAX_SAFE_INTEGER).length);
  gauge("windhover_image_pulls_in_progress", "Pulls under way.", () => images.pulling);
  gauge("windhover_image_cache_bytes", "Disk space the cache takes.", () => budget.usedBytes());
  gauge("windhover_image_builds_confined", "1 when images are built fully confined, otherwise 0.", () =>
    Number(sandbox.shortfall === ""),
  );
  gauge("windhover_image_cache_budget_bytes", "Disk space the cache may take.", () => budget.budgetBytes);
}
