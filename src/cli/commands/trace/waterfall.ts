import type { Span } from "../../../lib/latency/span.ts";
import { cutTo, displayWidth, fitTo } from "../../render/text.ts";
import { span as time } from "../../render/time.ts";
import { harmless, type Paint } from "../../session/terminal.ts";
import { type Analysis, placeOf, type Row } from "./analyze.ts";
import { fold, type Line } from "./fold.ts";

export interface WaterfallOptions {
  readonly width: number;
  readonly paint: Paint;
  /** Shows every span instead of folding short ones. */
  readonly all?: boolean;
}

/** Deeper spans are not indented any further. */
const MAX_INDENT = 12;
const OFFSET = 9;
const DURATION = 9;
const SHARE = 6;
const MIN_BAR = 10;

/** Attributes that explain a duration, and their labels. */
const SHOWN: readonly (readonly [attribute: string, label: string])[] = [
  ["windhover.start.path", "via"],
  ["windhover.start.not_faster", "not_faster"],
  ["windhover.image.cached", "image_cached"],
  ["windhover.host.name", "host"],
  ["windhover.bid.answer", "answer"],
  ["windhover.auction.bids_asked", "asked"],
  ["windhover.auction.bids_received", "offers"],
  ["windhover.auction.winner", "winner"],
  ["windhover.error.reason", "reason"],
];

interface Drawn {
  readonly name: string;
  readonly label: string;
  readonly service: string;
  readonly offsetUs: number;
  readonly durationUs: number;
  readonly selfShare: number;
  readonly look: "root" | "plain" | "failed" | "folded";
}

/** Draws a trace: a line for each span with name, service, offset, duration, share and bar. */
export function waterfall({ root, rows }: Analysis, { width, paint, all }: WaterfallOptions): string[] {
  const keep = ({ span }: Row) => all === true || labelsOf(span) !== "" || placeOf(span) === "guest";
  const lines = fold(rows, root.duration_us, keep).map(toDrawn);
  const serviceWidth = Math.min(14, Math.max(7, ...lines.map((line) => displayWidth(line.service))));
  const fixed = 2 + serviceWidth + OFFSET + DURATION + SHARE + 2;
  const wanted = Math.max(4, ...lines.map((line) => displayWidth(line.name) + displayWidth(line.label)));
  const nameWidth = Math.max(12, Math.min(wanted, width - fixed - Math.max(MIN_BAR, Math.floor(width / 4))));
  const barWidth = Math.max(0, width - fixed - nameWidth);
  const columns = (service: string, at: string, took: string, self: string) =>
    `  ${fitTo(service, serviceWidth)}${fitTo(at, OFFSET, "right")}${fitTo(took, DURATION, "right")}${fitTo(self, SHARE, "right")}`;

  const body = lines.map((line) => {
    const name = cutTo(line.name, nameWidth);
    const label = cutTo(line.label, nameWidth - displayWidth(name));
    const blanks = " ".repeat(Math.max(0, nameWidth - displayWidth(name) - displayWidth(label)));
    const colour = line.look === "failed" ? paint.red : line.look === "folded" ? paint.dim : paint.bold;
    const facts = columns(
      line.service,
      clock(line.offsetUs),
      clock(line.durationUs),
      percent(line.selfShare),
    );
    return `${colour(name)}${paint.cyan(label)}${blanks}${facts}  ${bar(line, root, barWidth, paint)}`.trimEnd();
  });
  return [paint.dim(fitTo("SPAN", nameWidth) + columns("SERVICE", "AT", "TIME", "SELF")), ...body];
}

/** Summarises a trace: each hop's share, the coverage, and what is missing or failed. */
export function summaryLines({ root, rows, hops, coverage, skewUs }: Analysis, paint: Paint): string[] {
  const shares = hops.map((hop) => `${harmless(hop.name)} ${percent(hop.share)}`).join("   ");
  const detached = rows.filter((row) => row.detached).length;
  const failed = rows.filter((row) => row.span.status === "error" && row.span.status_message);
  return [
    `share of each hop   ${shares}`,
    `coverage            ${percent(coverage)} of ${nameOf(root)} (${clock(root.duration_us)}) is within a span below it`,
    ...(skewUs > 0 ? [`clocks              corrected by up to ${time(skewUs / 1_000)}`] : []),
    ...(detached > 0
      ? [paint.yellow(`incomplete          ${detached} span(s) whose parent has not arrived`)]
      : []),
    ...failed.map(({ span }) =>
      paint.red(`failed              ${nameOf(span)}: ${harmless(span.status_message ?? "")}`),
    ),
  ];
}

/** Shortens a span's name by the package of an RPC; an arrow marks the client's side. */
export function nameOf(span: Span): string {
  const name = harmless(span.name.replace(/^(?:[a-z0-9_]+\.)+([A-Z]\w*\/\w+)$/, "$1"));
  return span.kind === "client" && name.includes("/") ? `→ ${name}` : name;
}

/** Formats a share as whole percent; `0 %` is exactly nothing. */
export function percent(share: number): string {
  const value = share * 100;
  if (value > 0 && value < 0.5) return "<1 %";
  return `${Math.round(value)} %`;
}

function toDrawn(line: Line): Drawn {
  if ("folded" in line) {
    const { folded } = line;
    const name = `${indent(folded.depth)}+ ${folded.count} short: ${harmless(folded.names.join(", "))}`;
    return { ...folded, name, label: "", service: harmless(folded.hop), look: "folded" };
  }
  const { row } = line;
  const { span, depth, offsetUs, selfShare } = row;
  const isRoot = depth === 0 && !row.detached;
  return {
    name: `${row.detached && depth === 0 ? "? " : ""}${indent(depth)}${nameOf(span)}`,
    label: harmless(labelsOf(span)),
    service: harmless(placeOf(span)),
    offsetUs,
    durationUs: span.duration_us,
    selfShare,
    look: span.status === "error" ? "failed" : isRoot ? "root" : "plain",
  };
}

function labelsOf(span: Span): string {
  return SHOWN.flatMap(([attribute, label]) => {
    const value = span.attributes[attribute];
    return value === undefined || value === "" ? [] : [` ${label}=${String(value)}`];
  }).join("");
}

function indent(depth: number): string {
  return "  ".repeat(Math.min(depth, MAX_INDENT));
}

function bar(line: Drawn, root: Span, width: number, paint: Paint): string {
  if (width < 1 || root.duration_us === 0) return "";
  const scale = width / root.duration_us;
  // Clocks differ, and a span may outlive the root: both are drawn at the edge.
  if (line.offsetUs >= root.duration_us) return `${" ".repeat(width - 1)}${paint.dim("→")}`;
  const from = Math.min(width - 1, Math.max(0, Math.floor(line.offsetUs * scale)));
  const to = Math.min(width, Math.max(from + 1, Math.round((line.offsetUs + line.durationUs) * scale)));
  const isThin = line.durationUs * scale < 0.5;
  const colour = { root: paint.dim, plain: paint.green, failed: paint.red, folded: paint.dim }[line.look];
  return " ".repeat(from) + colour(isThin ? "▏" : "█".repeat(to - from));
}

function clock(us: number): string {
  return us < 0 ? `-${time(-us / 1_000)}` : us === 0 ? "0 ms" : time(us / 1_000);
}
