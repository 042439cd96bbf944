import { dashboard, graph, heatmap, labelVariable, quantiles, row, traces } from "./panels.ts";

const OK = 'outcome="ok", start_path=~"$path"';

/** Latency of starts: which path, which host, and from a point to its trace. */
export const starts = dashboard(
  "starts",
  "start latency",
  "How fast starts are, by start path and host. Points on the graphs are exemplars: a click opens the trace.",
)
  .withVariable(labelVariable("path", "Start path", "windhover_start_duration_seconds_count", "start_path"))
  .withPanel(
    heatmap(
      {
        title: "Durations of starts on hosts",
        description:
          "Darker: more starts. Two bands are two start paths; a band that widens is contention. Points are traces.",
        unit: "s",
      },
      `sum by (le) (increase(windhover_start_duration_seconds_bucket{${OK}}[$__rate_interval]))`,
    ),
  )
  .withPanel(
    graph(
      {
        title: "Percentiles by start path",
        description: "On the host, from accepted to exec'ed.",
        unit: "s",
        width: 12,
        hasExemplars: true,
        isLogarithmic: true,
      },
      ...quantiles("windhover_start_duration_seconds", OK, "start_path"),
    ),
  )
  .withPanel(
    graph(
      {
        title: "p99 by host",
        description: "One host above the others: its disk, its neighbours or its pool.",
        unit: "s",
        width: 12,
        isLogarithmic: true,
      },
      [
        `histogram_quantile(0.99, sum by (le, instance) (rate(windhover_start_duration_seconds_bucket{${OK}}[$__rate_interval])))`,
        "{{instance}}",
      ],
    ),
  )
  .withRow(row("Objective"))
  .withPanel(
    graph(
      {
        title: "Within target, last hour",
        description:
          "Share of successful starts within 150 ms (warm, snapshot, resume), 900 ms (template), 10 s (cold).",
        unit: "percentunit",
        width: 12,
      },
      ["start_path:windhover_start_within_target:ratio_rate1h", "{{start_path}}"],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Burn rate of the error budget",
        description:
          "1: the budget of 30 days (1 % of the starts) lasts exactly 30 days. 14.4 over an hour pages somebody.",
        unit: "short",
        width: 12,
      },
      ["windhover_start_misses:ratio_rate5m / 0.01", "5 min"],
      ["windhover_start_misses:ratio_rate1h / 0.01", "1 h"],
      ["windhover_start_misses:ratio_rate6h / 0.01", "6 h"],
      ["windhover_start_misses:ratio_rate3d / 0.01", "3 d"],
    ),
  )
  .withRow(row("Why"))
  .withPanel(
    graph(
      {
        title: "Api and host",
        description:
          "p99 of starts as apis and as hosts see them. The distance is network, queue of calls, and the api itself.",
        unit: "s",
        hasExemplars: true,
        isLogarithmic: true,
      },
      [
        'histogram_quantile(0.99, sum by (le) (rate(windhover_api_start_duration_seconds_bucket{outcome="ok"}[$__rate_interval])))',
        "api",
      ],
      [
        'histogram_quantile(0.99, sum by (le) (rate(windhover_start_duration_seconds_bucket{outcome="ok"}[$__rate_interval])))',
        "host",
      ],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Waiting and running starts",
        description: "By host; slots are few on purpose.",
        unit: "short",
      },
      ["windhover_start_queue_depth", "{{instance}} wait"],
      ["windhover_starts_in_progress", "{{instance}} run"],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Pool misses",
        description: "Launches that got no warm VM, by host and shape.",
        unit: "ops",
        isStacked: true,
      },
      [
        "sum by (instance, shape) (rate(windhover_pool_misses_total[$__rate_interval]))",
        "{{instance}} {{shape}}",
      ],
    ),
  )
  .withRow(row("Traces"))
  .withPanel(
    traces(
      {
        title: "Slow starts",
        description: "Traces with a start of more than 150 ms.",
        unit: "",
        width: 12,
      },
      '{ name = "hostd.start" && duration > 150ms }',
    ),
  )
  .withPanel(
    traces(
      {
        title: "Failed starts",
        description: "Traces with a start that ended with an error.",
        unit: "",
        width: 12,
      },
      '{ name = "hostd.start" && status = error }',
    ),
  );
