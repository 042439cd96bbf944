import { counter, gauge } from "../../lib/otel/metrics.ts";

const drains = counter(
  "windhover_drains_total",
  "Drains of hosts that ended here: emptied, with machines left that could not be stopped, or broken off.",
  ["outcome"],
);
for (const outcome of ["emptied", "left", "broken_off"]) drains.inc({ outcome }, 0);
let drainsUnderWay = 0;
gauge("windhover_drains_in_progress", "Drains of hosts that run here.", () => drainsUnderWay);

/** Counts how a drain ended. A drain that is refused is not counted. */
export async function* measureDrain<
  T extends { readonly problem?: string; readonly done: number; readonly total: number },
>(drain: AsyncIterable<T>): AsyncGenerator<T> {
  let outcome: string | undefined;
  let isAnyLeft = false;
  drainsUnderWay += 1;
  try {
    for await (const progress of drain) {
      outcome ??= "broken_off";
      if (progress.problem !== undefined) isAnyLeft = true;
      // Before the yield: a caller that has got the last one may stop here.
      if (progress.done === progress.total) outcome = isAnyLeft ? "left" : "emptied";
      yield progress;
    }
  } finally {
    drainsUnderWay -= 1;
    if (outcome !== undefined) drains.inc({ outcome });
  }
}
