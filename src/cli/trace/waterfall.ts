import { cutTo, displayWidth, fitTo } from "../render/text.ts";
import { span as time } from "../render/time.ts";
import { harmless, type Paint } from "../terminal.ts";
import { type Analysis, hopOf, type Row } from "./analyze.ts";
import type { TraceSpan } from "./spans.ts";

/** How to draw. */
export interface WaterfallOptions {
  /** Columns to keep to. */
  readonly width: number;
  readonly paint: Paint;
}

/** Deeper spans are not indented any further. */
const MAX_INDENT = 12;
const OFFSET = 9;
const DURATION = 9;
const SHARE = 6;
const MIN_BAR = 10;

/** Attributes that decide how long something takes, and what they are called here. */
const SHOWN: readonly (readonly [attribute: string, label: string])[] = [
  ["windhover.vm.way", "way"],
  ["windhover.image.cached", "image_cached"],
  ["windhover.auction.bids_asked", "asked"],
  ["windhover.auction.bids_received", "offers"],
  ["windhover.vm.pool_depth", "pool"],
  ["windhover.error.reason", "reason"],
];

/** Draws a trace: a line for each span with its name, service, offset, duration, share and bar, parents above and left of their children. */
export function waterfall({ root, rows }: Analysis, { width, paint }: WaterfallOptions): string[] {
  const names = rows.map((row) => `${indent(row)}${nameOf(row.span)}`);
  const labels = rows.map((row) => labelsOf(row.span));
  const serviceWidth = Math.min(14, Math.max(7, ...rows.map((row) => displayWidth(hopOf(row.span)))));
  const fixed = 2 + serviceWidth + OFFSET + DURATION + SHARE + 2;
  const wanted = Math.max(4, ...names.map((name, i) => displayWidth(name) + displayWidth(labels[i] ?? "")));
  const nameWidth = Math.max(12, Math.min(wanted, width - fixed - Math.max(MIN_BAR, Math.floor(width / 4))));
  const barWidth = Math.max(0, width - fixed - nameWidth);

  const head = [
    fitTo("SPAN", nameWidth),
    "  ",
    fitTo("SERVICE", serviceWidth),
    fitTo("AT", OFFSET, "right"),
    fitTo("TIME", DURATION, "right"),
    fitTo("SELF", SHARE, "right"),
  ].join("");
  const lines = rows.map((row, i) => {
    const name = cutTo(harmless(names[i] ?? ""), nameWidth);
    const label = cutTo(harmless(labels[i] ?? ""), nameWidth - displayWidth(name));
    const blanks = " ".repeat(Math.max(0, nameWidth - displayWidth(name) - displayWidth(label)));
    const failed = row.span.status === "error";
    const left = [
      (failed ? paint.red : paint.bold)(name) + paint.cyan(label) + blanks,
      "  ",
      paint.dim(fitTo(harmless(hopOf(row.span)), serviceWidth)),
      fitTo(time0(row.offsetUs), OFFSET, "right"),
      fitTo(time0(row.span.duration_us), DURATION, "right"),
      fitTo(percent(row.selfShare), SHARE, "right"),
      "  ",
    ].join("");
    return (left + bar(row, root, barWidth, paint)).trimEnd();
  });
  return [paint.dim(head), ...lines];
}

/** The lines below: what each hop's share is, and how much of the root is accounted for. */
export function summaryLines({ root, rows, hops, coverage }: Analysis, paint: Paint): string[] {
  const shares = hops.map((hop) => `${harmless(hop.name)} ${percent(hop.share)}`).join("   ");
  const detached = rows.filter((row) => row.detached).length;
  const failed = rows.filter((row) => row.span.status === "error" && row.span.status_message);
  return [
    `share of each hop   ${shares}`,
    `coverage            ${percent(coverage)} of ${nameOf(root)} (${time0(root.duration_us)}) is within a span below it`,
    ...(detached > 0
      ? [paint.yellow(`incomplete          ${detached} span(s) whose parent has not arrived`)]
      : []),
    ...failed.map(({ span }) =>
      paint.red(`failed              ${nameOf(span)}: ${harmless(span.status_message ?? "")}`),
    ),
  ];
}

/** A span's name without the package of an RPC; an arrow marks the calling side. */
export function nameOf(span: TraceSpan): string {
  const name = harmless(span.name.replace(/^(?:[a-z0-9_]+\.)+([A-Z]\w*\/\w+)$/, "$1"));
  return span.kind === "client" && name.includes("/") ? `→ ${name}` : name;
}

/** A share as whole percent: ` 7 %`; something that is not nothing is never `0 %`. */
export function percent(share: number): string {
  const value = share * 100;
  if (value > 0 && value < 0.5) return "<1 %";
  return `${Math.round(value)} %`;
}

function labelsOf(span: TraceSpan): string {
  return SHOWN.flatMap(([attribute, label]) => {
    const value = span.attributes[attribute];
    return value === undefined || value === "" ? [] : [` ${label}=${String(value)}`];
  }).join("");
}

function indent(row: Row): string {
  return `${row.detached && row.depth === 0 ? "? " : ""}${"  ".repeat(Math.min(row.depth, MAX_INDENT))}`;
}

function bar(row: Row, root: TraceSpan, width: number, paint: Paint): string {
  if (width < 1 || root.duration_us === 0) return "";
  const scale = width / root.duration_us;
  // A span may begin before the root (clocks differ) or go on after it: shown at the edge.
  if (row.offsetUs >= root.duration_us) return `${" ".repeat(width - 1)}${paint.dim("→")}`;
  const from = Math.min(width - 1, Math.max(0, Math.floor(row.offsetUs * scale)));
  const to = Math.min(width, Math.max(from + 1, Math.round((row.offsetUs + row.span.duration_us) * scale)));
  const thin = row.span.duration_us * scale < 0.5;
  const colour = row.span.status === "error" ? paint.red : row.depth === 0 ? paint.dim : paint.green;
  return " ".repeat(from) + colour(thin ? "▏" : "█".repeat(to - from));
}

function time0(us: number): string {
  return us < 0 ? `-${time(-us / 1_000)}` : us === 0 ? "0 ms" : time(us / 1_000);
}
