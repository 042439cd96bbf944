import type { HoverCommand } from "../command.ts";
import type { LatencyFlags } from "./flags.ts";

/** Flags of filters: each takes a value of an attribute, may be given several times, and excludes with `!`. */
const ATTRIBUTES = [
  ["--path <path>", "start path: warm, resume, snapshot, template or cold"],
  ["--host <name>", "host"],
  ["-a, --app <app>", "app"],
  ["-o, --org <slug>", "organisation"],
  ["--image <reference>", "image"],
  ["--region <code>", "region"],
  ["--hover-version <version>", "version of Windhover that did the work"],
  ["--size <size>", "size, e.g. shared-1x-256"],
  ["--machine <id>", "machine"],
  ["--reason <reason>", "reason of a failure"],
  ["--hop <name>", "hop that took longest"],
  ["--queue <count>", "starts that waited: 0, 1, 2-3, 4-7, ..."],
  ["--concurrency <count>", "operations under way: 0, 1, 2-3, 4-7, ..."],
] as const;

/** Defines `hover latency` and `hover latency compare`. */
export function defineLatency(latency: HoverCommand): void {
  latency.helpCommand(false);
  addFilters(latency)
    .option("--by <attribute>", "percentiles for each path, host, image, app, region, version, hop, ...")
    .examples(
      "hover latency --since 1h --path warm --by host",
      "hover latency --kind create --by image",
      "hover latency --host '!dev-1' --outcome failed --by reason",
    )
    .runs<[], LatencyFlags>(async (...given) => (await import("./latency-run.ts")).showLatency(...given));
  const compare = latency.leaf("compare <a> <b>", "Tells whether two sets of operations really differ");
  addFilters(compare)
    .examples(
      "hover latency compare host=dev-1 host=dev-2 --since 1d",
      "hover latency compare 'since=2h&until=2026-01-31T12:00:00Z' 'since=1h' --path warm",
    )
    .runs<[string, string], LatencyFlags>(async (...given) =>
      (await import("./compare-run.ts")).compareLatency(...given),
    );
}

function addFilters(command: HoverCommand): HoverCommand {
  command
    .option("--kind <kind>", "start, create, wake, stop, suspend or all (default: start)")
    .option("--since <time>", "so long ago, e.g. 30m, or an instant (default: 1h)")
    .option("--until <time>", "instant at which the period ends (default: now)");
  for (const [flags, help] of ATTRIBUTES) command.option(flags, help, collect);
  return command
    .option("--outcome <outcome>", "ok or failed")
    .option("--min <duration>", "only operations that took at least this, e.g. 20ms")
    .option("--max <duration>", "only those that took at most this");
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
