import {
  counter,
  gauge,
  OUTCOMES,
  type OutcomeLabel,
  outcomeOf,
  secondsHistogram,
} from "../lib/otel/metrics.ts";

/** The same as on hosts, so that the two can be compared: what lies between them is the wire and the api. */
const START_BUCKETS = [
  ...[0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15, 0.2],
  ...[0.3, 0.4, 0.6, 0.9, 1.5, 3, 5, 10, 20, 30, 60],
];
/** From an image that is there already to one that comes from far away. */
const CREATE_BUCKETS = [0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900];

const startSeconds = secondsHistogram(
  "windhover_api_start_duration_seconds",
  "Duration of starts as the api sees them, the host's part included.",
  ["start_path", "outcome"],
  START_BUCKETS,
);
for (const startPath of ["warm", "template", "cold"])
  startSeconds.zero({ start_path: startPath, outcome: "ok" });

const createSeconds = secondsHistogram(
  "windhover_create_duration_seconds",
  "Duration of creates as their callers see them, with the first start unless it is skipped.",
  ["outcome"],
  CREATE_BUCKETS,
);
for (const outcome of OUTCOMES) createSeconds.zero({ outcome });

/** Creates as this process leaves them. */
export const createsEnded = counter(
  "windhover_creates_total",
  "Creates that ended here: done, undone, stuck in undoing, or left for another to go on with.",
  ["outcome"],
);
for (const outcome of ["done", "undone", "stuck", "left"]) createsEnded.inc({ outcome }, 0);

/** What makes sweeps put things right at all. */
export const sweeps = counter("windhover_sweeps_total", "Rounds of comparing every host with the record.");
sweeps.inc(0);

/** What sweeps put right. */
export const swept = counter(
  "windhover_swept_total",
  "Differences between hosts and the record that were put right, by kind.",
  ["kind"],
);
for (const kind of ["orphan", "ahead", "lost"]) swept.inc({ kind }, 0);

const drains = counter(
  "windhover_drains_total",
  "Drains of hosts that ended here: emptied, with machines left that could not be stopped, or broken off.",
  ["outcome"],
);
for (const outcome of ["emptied", "left", "broken_off"]) drains.inc({ outcome }, 0);
let drainsUnderWay = 0;
gauge("windhover_drains_in_progress", "Drains of hosts that run here.", () => drainsUnderWay);

/** Measures a drain: passes on what it tells, and counts how it ended. */
export async function* measureDrain<
  T extends { readonly problem?: string; readonly done: number; readonly total: number },
>(drain: AsyncIterable<T>): AsyncGenerator<T> {
  let outcome: string | undefined;
  let isAnyLeft = false;
  drainsUnderWay += 1;
  try {
    for await (const step of drain) {
      outcome ??= "broken_off";
      if (step.problem !== undefined) isAnyLeft = true;
      // Before it is told: whoever has heard the last need not ask for more.
      if (step.done === step.total) outcome = isAnyLeft ? "left" : "emptied";
      yield step;
    }
  } finally {
    drainsUnderWay -= 1;
    // One that was refused has not begun.
    if (outcome !== undefined) drains.inc({ outcome });
  }
}

/** Measures a start. */
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

/** Measures a create. */
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

/** What an api knows when it is asked. */
export interface ApiView {
  readonly runner: { readonly size: number };
  readonly reconciler: { readonly stuck: number };
}

/** Exposes what is known now; once per process. */
export function exposeApi({ runner, reconciler }: ApiView): void {
  gauge("windhover_creates_in_progress", "Creates that run here.", () => runner.size);
  gauge(
    "windhover_creates_stuck",
    "Creates with something that could not be taken back yet, in the whole record.",
    () => reconciler.stuck,
  );
}
