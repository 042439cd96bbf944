import { dashboard, graph, row, traces } from "./panels.ts";

/** Tracing itself: is what the other dashboards show complete? The second row needs otel/collector.yaml. */
export const tracing = dashboard(
  "tracing",
  "tracing",
  "What observing costs and what it loses. The collector's panels are empty without otel/collector.yaml.",
)
  .withPanel(
    graph(
      {
        title: "Calls served",
        description: "Of all services: what spans are made for.",
        unit: "reqps",
        isStacked: true,
      },
      ["sum by (job) (rate(rpc_server_call_duration_seconds_count[$__rate_interval]))", "{{job}}"],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Spans lost",
        description: "Of services: their queue was full, or an export failed. Nothing waits for spans.",
        unit: "ops",
      },
      ["sum by (job, reason) (rate(windhover_spans_dropped_total[$__rate_interval]))", "{{job}} {{reason}}"],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Audit entries lost",
        description: "Entries that the disk, or the collector, did not take. Both are to be 0.",
        unit: "short",
      },
      ["sum by (job) (increase(windhover_audit_dropped_total[1h]))", "{{job}} file"],
      ["sum by (job) (increase(windhover_audit_otlp_dropped_total[1h]))", "{{job}} collector"],
    ),
  )
  .withRow(row("Collector"))
  .withPanel(
    graph(
      { title: "Spans", description: "That the collector accepted and refused.", unit: "ops" },
      ["sum(rate(otelcol_receiver_accepted_spans_total[$__rate_interval]))", "accepted"],
      ["sum(rate(otelcol_receiver_refused_spans_total[$__rate_interval]))", "refused"],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Sent and failed",
        description: "By exporter. What fails for longer than its retries is lost.",
        unit: "ops",
      },
      ["sum by (exporter) (rate(otelcol_exporter_sent_spans_total[$__rate_interval]))", "{{exporter}} sent"],
      [
        "sum by (exporter) (rate(otelcol_exporter_send_failed_spans_total[$__rate_interval]))",
        "{{exporter}} failed",
      ],
    ),
  )
  .withPanel(
    graph(
      { title: "Queues", description: "Batches that wait, of what the queue holds.", unit: "percentunit" },
      ["otelcol_exporter_queue_size / otelcol_exporter_queue_capacity", "{{exporter}}"],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Tail sampling",
        description: "Traces by policy and decision; a trace that two policies keep counts twice.",
        unit: "ops",
      },
      [
        "sum by (policy, decision) (rate(otelcol_processor_tail_sampling_count_traces_sampled_total[$__rate_interval]))",
        "{{policy}} {{decision}}",
      ],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Memory",
        description: "Of the collector; memory_limiter refuses above its limit.",
        unit: "bytes",
      },
      ["otelcol_process_memory_rss_bytes", "{{instance}}"],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Spans by service and name",
        description:
          "p99 of the collector's span metrics, before sampling: the ten slowest. Points are traces.",
        unit: "s",
        hasExemplars: true,
        isLogarithmic: true,
      },
      [
        "topk(10, histogram_quantile(0.99, sum by (le, service_name, span_name) (rate(traces_span_metrics_duration_seconds_bucket[$__rate_interval]))))",
        "{{service_name}} {{span_name}}",
      ],
    ),
  )
  .withRow(row("Traces"))
  .withPanel(
    traces(
      { title: "Errors", description: "Latest traces with an error in any service.", unit: "" },
      "{ status = error }",
    ),
  );
