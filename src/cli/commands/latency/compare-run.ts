import type { Comparison, Percentiles } from "../../../lib/latency/answers.ts";
import { type Column, table } from "../../render/table.ts";
import { span } from "../../render/time.ts";
import { UsageError } from "../../session/faults/usage-error.ts";
import type { Session } from "../../session/session.ts";
import { harmless } from "../../session/terminal.ts";
import { askConsole } from "./console-client.ts";
import { type LatencyFlags, parametersOf } from "./flags.ts";

const SET_COLUMNS: readonly Column[] = [
  { title: "" },
  ...["COUNT", "P50", "P90", "P99", "MAX"].map((title): Column => ({ title, align: "right" })),
];
const HOP_COLUMNS: readonly Column[] = [
  { title: "HOP" },
  ...["A", "B", "CHANGE", "P"].map((title): Column => ({ title, align: "right" })),
];
/** Hops that differ most. */
const SHOWN_HOPS = 8;

/** Prints whether b is slower or faster than a, by how much, and in which hops. */
export async function compareLatency(
  session: Session,
  [a, b]: [string, string],
  flags: LatencyFlags,
): Promise<void> {
  const query = new URLSearchParams({ a: sideOf(a, flags), b: sideOf(b, flags) });
  // The console is part of the same release.
  const answer = (await askConsole(session, `/api/compare?${query}`)) as Comparison;
  if (session.json) return session.printJson(answer);
  const { test, hops } = answer;
  const sets = [
    ["a", ...cells(answer.a)],
    ["b", ...cells(answer.b)],
  ];
  const rows = hops
    .slice(0, SHOWN_HOPS)
    .map(({ hop, a_us, b_us, p }) => [
      ...[harmless(hop), time(a_us), time(b_us), signed(b_us - a_us)],
      p < 0.001 ? "< 0.001" : p.toFixed(3),
    ]);
  session.printLines([
    ...table(SET_COLUMNS, sets, session.terminal.width),
    "",
    verdictOf(test),
    "",
    ...table(HOP_COLUMNS, rows, session.terminal.width),
  ]);
}

/** Joins what both sets have with what is their own, which counts more. */
function sideOf(own: string, flags: LatencyFlags): string {
  const side = new URLSearchParams(own);
  if (side.size === 0 || [...side.values()].every((value) => value === ""))
    throw new UsageError(`Write what the set is, e.g. host=dev-1 or since=2h, not "${own}".`);
  for (const [name, value] of parametersOf(flags))
    if (!new URLSearchParams(own).has(name)) side.append(name, value);
  return side.toString();
}

function verdictOf({ verdict, p, effect, shift_us, interval_us }: Comparison["test"]): string {
  const chance = p < 0.001 ? "p < 0.001" : `p = ${p.toFixed(3)}`;
  if (verdict === "too few") return "There are too few operations to tell.";
  if (verdict === "no difference") return `No difference that chance would not explain (${chance}).`;
  const [low, high] = interval_us.map(signed);
  const often = Math.round(100 * (verdict === "slower" ? effect : 1 - effect));
  return `b is ${verdict} by ${time(Math.abs(shift_us))} (95 %: ${low} to ${high}; ${chance}); one of b is ${verdict} than one of a in ${often} % of pairs.`;
}

function cells({ count, p50, p90, p99, max }: Percentiles): string[] {
  return [String(count), ...[p50, p90, p99, max].map((us) => (count === 0 ? "-" : time(us)))];
}

function signed(us: number): string {
  return `${us < 0 ? "-" : "+"}${time(Math.abs(us))}`;
}

function time(us: number): string {
  return span(us / 1_000);
}
