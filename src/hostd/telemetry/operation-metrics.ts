import { Fault } from "../../lib/faults/fault.ts";
import {
  counter,
  OUTCOMES,
  type OutcomeLabel,
  outcomeOf,
  START_BUCKETS,
  secondsHistogram,
} from "../../lib/otel/metrics.ts";
import type { BidAnswer } from "../capacity/bid.ts";

const startSeconds = secondsHistogram(
  "windhover_start_duration_seconds",
  "Duration of starts on this host, from accepted to exec'ed, with the time spent waiting for a slot.",
  ["start_path", "outcome"],
  START_BUCKETS,
);
for (const startPath of ["warm", "template", "cold"])
  startSeconds.zero({ start_path: startPath, outcome: "ok" });

const stopSeconds = secondsHistogram(
  "windhover_stop_duration_seconds",
  "Duration of stops on this host, from accepted to the process's end.",
  ["outcome"],
);
for (const outcome of OUTCOMES) stopSeconds.zero({ outcome });

const refusals = counter(
  "windhover_refusals_total",
  "Bids, awards, starts and stops that this host declined or could not carry out, by reason.",
  ["operation", "reason"],
);

export function countDecline(answer: BidAnswer): void {
  if (answer.kind === "decline") refusals.inc({ operation: "bid", reason: answer.reason });
}

export function measureAward<T>(work: () => Promise<T>): Promise<T> {
  return countingRefusals("award", work);
}

export async function measureStart<T extends { readonly startPath: string }>(
  work: () => Promise<T>,
): Promise<T> {
  const startMs = performance.now();
  let startPath = "none";
  let outcome: OutcomeLabel = "ok";
  try {
    const result = await countingRefusals("start", work);
    startPath = result.startPath;
    return result;
  } catch (err) {
    outcome = outcomeOf(err);
    throw err;
  } finally {
    startSeconds.observe({ start_path: startPath, outcome }, secondsSince(startMs));
  }
}

export async function measureStop<T>(work: () => Promise<T>): Promise<T> {
  const startMs = performance.now();
  let outcome: OutcomeLabel = "ok";
  try {
    return await countingRefusals("stop", work);
  } catch (err) {
    outcome = outcomeOf(err);
    throw err;
  } finally {
    stopSeconds.observe({ outcome }, secondsSince(startMs));
  }
}

async function countingRefusals<T>(operation: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (err) {
    const reason = err instanceof Fault ? err.reason.toLowerCase() : "internal";
    refusals.inc({ operation, reason });
    throw err;
  }
}

function secondsSince(ms: number): number {
  return (performance.now() - ms) / 1_000;
}
