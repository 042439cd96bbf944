import type { Latency } from "../../../lib/latency/answers.ts";
import { type Column, table } from "../../render/table.ts";
import { span } from "../../render/time.ts";
import type { Session } from "../../session/session.ts";
import { harmless } from "../../session/terminal.ts";
import { askConsole } from "./console-client.ts";
import { type LatencyFlags, parametersOf } from "./flags.ts";

const NUMBERS = ["COUNT", "P50", "P90", "P99", "MAX", "FAILED"].map(
  (title): Column => ({ title, align: "right" }),
);

/** Prints percentiles as a table, and the address of the page with the same query. */
export async function showLatency(session: Session, _args: [], flags: LatencyFlags): Promise<void> {
  const parameters = parametersOf(flags);
  const url = `${session.settings.console.value}/${parameters.size === 0 ? "" : `?${parameters}`}`;
  const asked = new URLSearchParams(parameters);
  if (flags.by !== undefined) asked.append("by", flags.by);
  // The console is part of the same release.
  const answer = (await askConsole(session, `/api/latency?${asked}`)) as Latency;
  if (session.json) return session.printJson({ ...answer, url });
  const { groups, all } = answer;
  const rows = groups.map((group) => [
    ...[harmless(group.value) || "-", ...cells(group), harmless(group.dominant)],
  ]);
  const title = (flags.by ?? "").toUpperCase();
  const columns: readonly Column[] =
    flags.by === undefined
      ? NUMBERS
      : [{ title, min: 12, lose: "start" }, ...NUMBERS, { title: "LONGEST HOP" }];
  const last = flags.by === undefined ? cells(all) : ["all", ...cells(all), ""];
  session.printLines([...table(columns, [...rows, last], session.terminal.width), "", `Page: ${url}`]);
}

function cells({ count, p50, p90, p99, max, failed }: Latency["all"]): string[] {
  const durations = [p50, p90, p99, max].map((us) => (count === 0 ? "-" : span(us / 1_000)));
  return [String(count), ...durations, String(failed)];
}
