import { dashboard, graph, labelVariable, quantiles, row } from "./panels.ts";

const APP = 'app=~"$app"';

/** Requests by app (rate, errors, duration), what they wake, and what waits. */
export const proxy = dashboard("proxy", "proxy", "Requests by app, starts that they cause, and queues.")
  .withVariable(labelVariable("app", "App", "windhover_proxy_requests_total", "app"))
  .withPanel(
    graph(
      {
        title: "Requests",
        description: "By app; apps after the first 200 are `_other`.",
        unit: "reqps",
        isStacked: true,
      },
      [`sum by (app) (rate(windhover_proxy_requests_total{${APP}}[$__rate_interval]))`, "{{app}}"],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Errors",
        description: "Share of answers with 5xx, by app. Compare with the proxy's own errors below.",
        unit: "percentunit",
      },
      [
        `sum by (app) (rate(windhover_proxy_requests_total{${APP}, status="5xx"}[$__rate_interval]))
  / sum by (app) (rate(windhover_proxy_requests_total{${APP}}[$__rate_interval]))`,
        "{{app}}",
      ],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Duration",
        description: "Until the end of the answer, by app. Points are traces.",
        unit: "s",
        hasExemplars: true,
        isLogarithmic: true,
      },
      ...quantiles("windhover_proxy_request_duration_seconds", APP, "app"),
    ),
  )
  .withRow(row("Wakes"))
  .withPanel(
    graph(
      {
        title: "Wakes by path and outcome",
        description: "Starts that requests cause.",
        unit: "ops",
        isStacked: true,
      },
      [
        "sum by (path, outcome) (rate(windhover_proxy_wakes_total[$__rate_interval]))",
        "{{path}} {{outcome}}",
      ],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Duration of wakes",
        description: "From asking for the start until the machine is ready. Points are traces.",
        unit: "s",
        hasExemplars: true,
        isLogarithmic: true,
      },
      ...quantiles("windhover_proxy_wake_seconds", "", "path"),
    ),
  )
  .withPanel(
    graph(
      {
        title: "Idle stops",
        description: "Machines stopped or suspended for being idle.",
        unit: "ops",
        isStacked: true,
      },
      ["sum by (outcome) (rate(windhover_proxy_idle_stops_total[$__rate_interval]))", "{{outcome}}"],
    ),
  )
  .withRow(row("Queues and the proxy itself"))
  .withPanel(
    graph(
      {
        title: "Waiting",
        description: "Requests that wait for a machine, and starts under way for them.",
        unit: "short",
      },
      ["windhover_proxy_waiting", "{{instance}} requests"],
      ["windhover_proxy_starts_in_progress", "{{instance}} starts"],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Time in the queue",
        description: "Of requests, until a machine had a place.",
        unit: "s",
        hasExemplars: true,
        isLogarithmic: true,
      },
      ...quantiles("windhover_proxy_wait_seconds", ""),
    ),
  )
  .withPanel(
    graph(
      {
        title: "Answers of the proxy itself",
        description: "By code; docs/proxy.md explains each.",
        unit: "ops",
        isStacked: true,
      },
      ["sum by (code) (rate(windhover_proxy_errors_total[$__rate_interval])) > 0", "{{code}}"],
    ),
  )
  .withPanel(
    graph({ title: "Choices", description: "How requests found a machine.", unit: "ops", isStacked: true }, [
      "sum by (outcome) (rate(windhover_proxy_choices_total[$__rate_interval]))",
      "{{outcome}}",
    ]),
  )
  .withPanel(
    graph(
      { title: "Hosts", description: "With routed machines, by the state of their stream.", unit: "short" },
      ["sum by (instance, state) (windhover_proxy_hosts)", "{{instance}} {{state}}"],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Under way",
        description: "Requests, and connections that pass through.",
        unit: "short",
      },
      ["windhover_proxy_requests_in_progress", "{{instance}} requests"],
      ["windhover_proxy_connections_in_progress", "{{instance}} connections"],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Certificates",
        description: "Time until the first of them expires. Renewed ones count within seconds.",
        unit: "s",
      },
      ["windhover_proxy_certificate_expiry_timestamp_seconds - time()", "{{instance}}"],
    ),
  );
