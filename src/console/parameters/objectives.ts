import { KINDS, type Kind } from "../../lib/latency/operation.ts";
import { readDurationUs } from "./values.ts";

/** How fast operations of a kind, and perhaps of a start path, should be. */
export interface ObjectiveTarget {
  readonly kind: Kind;
  /** Empty: any. */
  readonly path: string;
  readonly targetUs: number;
  /** Share of operations, 0 to 1. */
  readonly goal: number;
}

const USUAL_PERCENT = 99;
const FORM = /^([a-z]+)(?:\/([a-z][a-z0-9_-]{0,31}))?=([^@]+)(?:@(\d{1,2}(?:\.\d{1,4})?))?$/;

/**
 * Objectives when none are configured: those of the alert rules in `otel/prometheus`. A start that fails
 * has no path, and counts for that of all starts; a create may pull an image.
 */
export const DEFAULT_OBJECTIVES =
  "start=10s,start/warm=150ms,start/resume=150ms,start/snapshot=150ms,start/template=900ms,start/cold=10s,wake=1s,create=30s";

/** Reads `KIND[/PATH]=DURATION[@PERCENT]`, e.g. `start/warm=100ms@99`. @throws Error that completes "NAME ..." */
export function parseObjective(text: string): ObjectiveTarget {
  const [, kindName, path = "", duration = "", percent = String(USUAL_PERCENT)] = FORM.exec(text) ?? [];
  const kind = KINDS.find((each) => each === kindName);
  const targetUs = readDurationUs(duration);
  const share = Number(percent) / 100;
  if (kind === undefined || targetUs === undefined || targetUs <= 0 || share <= 0) {
    throw new Error(
      `must be KIND[/PATH]=DURATION[@PERCENT], e.g. start/warm=100ms@99, with one of ${KINDS.join(", ")}, not "${text}"`,
    );
  }
  return { kind, path, targetUs, goal: share };
}
