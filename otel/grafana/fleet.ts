import { dashboard, graph, quantiles, row, stat } from "./panels.ts";

const FAILED_SHARE = `sum(rate(windhover_start_duration_seconds_count{outcome="failed"}[$__rate_interval]))
  / sum(rate(windhover_start_duration_seconds_count{outcome=~"ok|failed"}[$__rate_interval]))`;

/** Overview of a fleet: is it well, and where to look if not? */
export const fleet = dashboard(
  "fleet",
  "fleet",
  "Starts, creates, capacity and what stands still, of the whole fleet.",
)
  .withPanel(
    stat({ title: "Starts", description: "Starts that succeeded.", unit: "ops" }, [
      'sum(rate(windhover_start_duration_seconds_count{outcome="ok"}[$__rate_interval]))',
      "",
    ]),
  )
  .withPanel(
    stat(
      {
        title: "Within target",
        description: "Starts of the last hour within the target of their start path: 99 % are to be.",
        unit: "percentunit",
      },
      ["1 - windhover_start_misses:ratio_rate1h", ""],
    ),
  )
  .withPanel(
    stat({ title: "Failed", description: "Starts that failed on our side.", unit: "percentunit" }, [
      FAILED_SHARE,
      "",
    ]),
  )
  .withPanel(
    stat({ title: "Hosts", description: "Hosts attached to schedulers.", unit: "short" }, [
      "sum(windhover_hosts_attached)",
      "",
    ]),
  )
  .withPanel(
    stat({ title: "Machines", description: "Machines that run.", unit: "short" }, [
      'sum(windhover_machines{state="started"})',
      "",
    ]),
  )
  .withPanel(
    stat({ title: "Services down", description: "Targets that do not answer Prometheus.", unit: "short" }, [
      'count(up{job=~"api|scheduler|hostd|imagecache|proxy"} == 0) or vector(0)',
      "",
    ]),
  )
  .withRow(row("Starts"))
  .withPanel(
    graph(
      {
        title: "Starts by path",
        description: "As hosts see them. A shift from warm to cold is the first sign of an empty pool.",
        unit: "ops",
        isStacked: true,
      },
      [
        'sum by (start_path) (rate(windhover_start_duration_seconds_count{outcome="ok"}[$__rate_interval]))',
        "{{start_path}}",
      ],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Duration of starts",
        description: "On the host, from accepted to exec'ed, time in the queue included. Points are traces.",
        unit: "s",
        isLogarithmic: true,
        hasExemplars: true,
      },
      ...quantiles("windhover_start_duration_seconds", 'outcome="ok"'),
    ),
  )
  .withPanel(
    graph(
      {
        title: "Refusals and failures by reason",
        description: "Of starts, stops, awards and saves, by the reason that callers saw.",
        unit: "ops",
        isStacked: true,
      },
      [
        'sum by (operation, reason) (rate(windhover_refusals_total{operation!="bid"}[$__rate_interval]))',
        "{{operation}} {{reason}}",
      ],
    ),
  )
  .withPanel(
    graph({ title: "Start queue", description: "Starts that wait for a slot, by host.", unit: "short" }, [
      "windhover_start_queue_depth",
      "{{instance}}",
    ]),
  )
  .withPanel(
    graph(
      {
        title: "Launches with a warm VM",
        description: "Share of launches that got one from the pool, by shape.",
        unit: "percentunit",
      },
      [
        `sum by (shape) (rate(windhover_pool_hits_total[$__rate_interval]))
  / (sum by (shape) (rate(windhover_pool_hits_total[$__rate_interval])) + sum by (shape) (rate(windhover_pool_misses_total[$__rate_interval])))`,
        "{{shape}}",
      ],
    ),
  )
  .withPanel(
    graph({ title: "Warm VMs", description: "VMs that wait, by shape.", unit: "short", isStacked: true }, [
      "sum by (shape) (windhover_pool_size)",
      "{{shape}}",
    ]),
  )
  .withRow(row("Creates"))
  .withPanel(
    graph(
      {
        title: "Creates",
        description: "As their callers see them, by outcome.",
        unit: "ops",
        isStacked: true,
      },
      ["sum by (outcome) (rate(windhover_create_duration_seconds_count[$__rate_interval]))", "{{outcome}}"],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Duration of creates",
        description: "With the first start. Points are traces.",
        unit: "s",
        hasExemplars: true,
        isLogarithmic: true,
      },
      ...quantiles("windhover_create_duration_seconds", 'outcome="ok"'),
    ),
  )
  .withPanel(
    graph(
      {
        title: "Declined bids by reason",
        description: "Why hosts made no offer. `no_memory` everywhere: the fleet is full.",
        unit: "ops",
        isStacked: true,
      },
      ["sum by (reason) (rate(windhover_auction_declines_total[$__rate_interval]))", "{{reason}}"],
    ),
  )
  .withRow(row("What stands still"))
  .withPanel(
    graph(
      {
        title: "Outbox",
        description:
          "Age of the oldest change that the database lacks, by host. Stalled: nobody takes the first one.",
        unit: "s",
      },
      ["windhover_outbox_lag_seconds", "{{instance}} behind"],
      ["windhover_outbox_stalled_seconds", "{{instance}} stalled"],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Cannot be undone, missing, in backoff",
        description: "Each of them needs somebody: docs/operations.md says what to do.",
        unit: "short",
      },
      ["max(windhover_creates_stuck)", "creates that are stuck"],
      ['sum(increase(windhover_sweep_repairs_total{kind="missing"}[1h]))', "machines missing, last hour"],
      ["sum(windhover_hosts_in_backoff)", "hosts in backoff"],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Capacity that is promised",
        description: "Of all hosts, by resource; held for auctions included.",
        unit: "percentunit",
      },
      [
        `sum by (resource) (windhover_ledger_allocated + windhover_ledger_held)
  / sum by (resource) (windhover_ledger_capacity)`,
        "{{resource}}",
      ],
    ),
  );
