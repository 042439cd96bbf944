import { operationsOf } from "../../../src/lib/latency/analysis/classify.ts";
import type { Mark, Operation } from "../../../src/lib/latency/operation.ts";
import type { Span } from "../../../src/lib/latency/span.ts";
import { APPS, BURST, FAILING, HOSTS, IMAGES, minutesBefore, SLOW_DISK, VERSIONS } from "./facts.ts";
import { writeCreate, writeStop, writeWake } from "./others.ts";
import { Random } from "./random.ts";
import { type StartPlan, writeStart } from "./start.ts";
import { TraceWriter } from "./trace.ts";

/** Traces of an hour, and what the receiver makes of them. */
export interface Recording {
  readonly traces: readonly { readonly spans: readonly Span[]; readonly org: string }[];
  readonly operations: readonly Operation[];
  readonly marks: readonly Mark[];
}

const HOUR_MS = 3_600_000;
const SEED = 12;

/** Records so many traces of the hour before `endMs`, the same for every run but for the time. */
export function record(endMs: number, count: number, spanMs = HOUR_MS): Recording {
  const random = new Random(SEED);
  const traces = Array.from({ length: count }, (_, index) => {
    const startMs = endMs - spanMs + Math.floor(((index + 0.5) * (spanMs - 5_000)) / count);
    return recordOne(random, inBurst(startMs, endMs, random), endMs);
  });
  const operations = traces
    .flatMap(({ spans }) => operationsOf(spans, Math.round(lastMs(spans) + random.around(900))))
    .sort((a, b) => a.startUs - b.startUs);
  return { traces, operations, marks: marksOf(endMs) };
}

/** Some starts come in the minutes of the burst instead. */
function inBurst(startMs: number, endMs: number, random: Random): number {
  if (!random.chance(0.06)) return startMs;
  const from = minutesBefore(endMs, BURST.fromMinutesBefore);
  return Math.round(from + random.next() * (minutesBefore(endMs, BURST.untilMinutesBefore) - from));
}

function lastMs(spans: readonly Span[]): number {
  return Math.max(...spans.map(({ start_us, duration_us }) => start_us + duration_us)) / 1_000;
}

function recordOne(random: Random, startMs: number, endMs: number): Recording["traces"][number] {
  const trace = new TraceWriter(random);
  const plan = planOf(random, startMs, endMs);
  const startUs = startMs * 1_000 + Math.floor(random.next() * 1_000);
  const roll = random.next();
  if (roll < 0.82) writeStart(trace, random, startUs, plan);
  else if (roll < 0.9) writeWake(trace, random, startUs, { ...plan, reason: "" });
  else if (roll < 0.94) writeCreate(trace, random, startUs, { ...plan, reason: "" });
  else writeStop(trace, random, startUs, plan);
  return { spans: trace.spans, org: plan.org };
}

function planOf(random: Random, startMs: number, endMs: number): StartPlan {
  const isBurst =
    startMs >= minutesBefore(endMs, BURST.fromMinutesBefore) &&
    startMs < minutesBefore(endMs, BURST.untilMinutesBefore);
  const host = random.pick(HOSTS);
  const which = Math.min(3, Math.floor(random.next() ** 1.4 * 4));
  const image = IMAGES[which] ?? IMAGES[0];
  const isNew = startMs >= minutesBefore(endMs, VERSIONS.minutesBefore);
  const isSlow = host === SLOW_DISK.host && startMs >= minutesBefore(endMs, SLOW_DISK.minutesBefore);
  const poolSize = isBurst
    ? random.chance(0.8)
      ? 0
      : 1
    : Math.floor(random.next() * 5) + (random.chance(0.04) ? 0 : 1);
  return {
    ...pathOf(random, poolSize),
    ...{ host, region: host.slice(0, 3), image, app: APPS[which] ?? "web", poolSize },
    org: which === 2 ? "acme" : "personal",
    size: which === 2 ? "performance-2x-4096" : "shared-1x-256",
    version: isNew ? VERSIONS.after : VERSIONS.before,
    machineId: random.hex(14),
    queueLength: isBurst ? Math.floor(random.next() * 9) : random.chance(0.04) ? 1 : 0,
    concurrency: Math.floor(random.next() ** 2 * (isBurst ? 24 : 6)),
    diskUs: isSlow ? random.around(240_000, 0.35) : 0,
    execFactor: isNew ? VERSIONS.slower : 1,
    reason: reasonOf(random, image, isBurst),
  };
}

function reasonOf(random: Random, image: string, isBurst: boolean): string {
  if (image === FAILING.image && random.chance(FAILING.share)) return FAILING.reason;
  if (isBurst && random.chance(0.05)) return "START_QUEUE_FULL";
  return random.chance(0.002) ? "START_TIMEOUT" : "";
}

function pathOf(random: Random, poolSize: number): Pick<StartPlan, "path" | "notFaster"> {
  const roll = random.next();
  if (roll < 0.07) return { path: "resume", notFaster: "" };
  if (roll < 0.2) return { path: "snapshot", notFaster: "" };
  if (poolSize > 0 && roll < 0.94) return { path: "warm", notFaster: "no_snapshot" };
  const why = poolSize === 0 ? "pool_empty" : random.pick(["pool_other_size", "pool_empty"]);
  return roll < 0.97 ? { path: "template", notFaster: why } : { path: "cold", notFaster: "no_template" };
}

function marksOf(endMs: number): readonly Mark[] {
  const versionMs = minutesBefore(endMs, VERSIONS.minutesBefore);
  return [
    { timeMs: minutesBefore(endMs, 54), kind: "template", label: "shared-1x-256", host: "ord-1" },
    ...HOSTS.map(
      (host, index): Mark => ({
        timeMs: versionMs + index * 2_000,
        kind: "version",
        label: VERSIONS.after,
        host,
      }),
    ),
    { timeMs: minutesBefore(endMs, 12), kind: "template", label: "shared-1x-256", host: "gru-2" },
  ];
}
