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
for (const startPath of ["warm", "template", "cold", "snapshot", "resume"])
  startSeconds.zero({ start_path: startPath, outcome: "ok" });

const stopSeconds = secondsHistogram(
  "windhover_stop_duration_seconds",
  "Duration of stops on this host, from accepted to the process's end.",
  ["outcome"],
);
for (const outcome of OUTCOMES) stopSeconds.zero({ outcome });

/** A VM that is saved for its next start, which ends it, or for every later start, beside which it goes on. */
type SaveKind = "suspend" | "snapshot";

const saveSeconds = secondsHistogram(
  "windhover_save_duration_seconds",
  "Duration of saves of machines, from the moment in which the machine may be saved until it is.",
  ["kind", "outcome"],
);
for (const kind of ["suspend", "snapshot"])
  for (const outcome of OUTCOMES) saveSeconds.zero({ kind, outcome });

const refusals = counter(
  "windhover_refusals_total",
  "Bids, awards, starts, stops and saves that this host declined or could not carry out, by reason.",
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

export async function measureSave<T>(kind: SaveKind, work: () => Promise<T>): Promise<T> {
  const startMs = performance.now();
  let outcome: OutcomeLabel = "ok";
  try {
    return await countingRefusals(kind, work);
  } catch (err) {
    outcome = outcomeOf(err);
    throw err;
  } finally {
    saveSeconds.observe({ kind, outcome }, secondsSince(startMs));
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
