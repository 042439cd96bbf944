import { dashboard, graph, labelVariable, quantiles, row } from "./panels.ts";

const HOST = 'instance=~"$host"';

/** Hosts: capacity, disks, images, and the processes on them. */
export const hosts = dashboard("hosts", "hosts", "Capacity, disks, images and processes, host by host.")
  .withVariable(labelVariable("host", "Host", "windhover_ledger_capacity", "instance"))
  .withPanel(
    graph(
      { title: "Machines by state", description: "Of the chosen hosts.", unit: "short", isStacked: true },
      [`sum by (state) (windhover_machines{${HOST}}) > 0`, "{{state}}"],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Memory promised",
        description: "Allocated and held, of what the host may promise.",
        unit: "percentunit",
      },
      [
        `(windhover_ledger_allocated{${HOST}, resource="memory_bytes"} + windhover_ledger_held{${HOST}, resource="memory_bytes"})
  / windhover_ledger_capacity{${HOST}, resource="memory_bytes"}`,
        "{{instance}}",
      ],
    ),
  )
  .withPanel(
    graph(
      {
        title: "CPUs running",
        description: "Of machines that run, of what the host may promise.",
        unit: "percentunit",
      },
      [
        `windhover_ledger_running{${HOST}, resource="cpus"} / windhover_ledger_capacity{${HOST}, resource="cpus"}`,
        "{{instance}}",
      ],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Free disk",
        description: "Below the reserve, the host declines every bid.",
        unit: "bytes",
      },
      [`windhover_disk_free_bytes{${HOST}}`, "{{instance}} free"],
      [`windhover_disk_reserve_bytes{${HOST}}`, "{{instance}} reserve"],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Saved VMs",
        description: "Disk of suspended machines and snapshots.",
        unit: "bytes",
        isStacked: true,
      },
      [`sum by (kind) (windhover_saved_bytes{${HOST}})`, "{{kind}}"],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Warm pool",
        description: "VMs that wait and the memory that machines may take back from them.",
        unit: "bytes",
      },
      [`windhover_pool_reclaimable_bytes{${HOST}}`, "{{instance}}"],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Age of templates",
        description:
          "By shape. A young template after each kernel is normal; one that is made again and again is not.",
        unit: "s",
      },
      [`windhover_template_age_seconds{${HOST}}`, "{{instance}} {{shape}}"],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Stops",
        description: "From accepted to the end of the process. Points are traces.",
        unit: "s",
        hasExemplars: true,
        isLogarithmic: true,
      },
      ...quantiles("windhover_stop_duration_seconds", `${HOST}, outcome="ok"`),
    ),
  )
  .withPanel(
    graph(
      {
        title: "Ready",
        description: "Machines that are started and not ready; machines that proxies use.",
        unit: "short",
      },
      [`sum(windhover_machines_unready{${HOST}})`, "not ready"],
      [`sum(windhover_machines_used{${HOST}})`, "used"],
    ),
  )
  .withRow(row("Images"))
  .withPanel(
    graph(
      {
        title: "Requests",
        description: "Images that were there, and those that were not.",
        unit: "ops",
        isStacked: true,
      },
      ["sum by (result) (rate(windhover_image_requests_total[$__rate_interval]))", "{{result}}"],
    ),
  )
  .withPanel(
    graph(
      {
        title: "Duration of pulls",
        description: "From asked for to ready. Points are traces.",
        unit: "s",
        hasExemplars: true,
        isLogarithmic: true,
      },
      ...quantiles("windhover_image_pull_duration_seconds", 'outcome="ok"'),
    ),
  )
  .withPanel(
    graph({ title: "Cache", description: "Of its budget, by image cache.", unit: "percentunit" }, [
      "windhover_image_cache_bytes / windhover_image_cache_budget_bytes",
      "{{instance}}",
    ]),
  )
  .withRow(row("Processes"))
  .withPanel(
    graph({ title: "Processor", description: "Of each service; 1 is a core.", unit: "short" }, [
      'sum by (job, instance) (rate(process_cpu_seconds_total{job!=""}[$__rate_interval]))',
      "{{job}} {{instance}}",
    ]),
  )
  .withPanel(
    graph({ title: "Memory", description: "Resident, of each service.", unit: "bytes" }, [
      "process_resident_memory_bytes",
      "{{job}} {{instance}}",
    ]),
  )
  .withPanel(
    graph(
      {
        title: "Event loop lag, p99",
        description: "A service whose loop is blocked delays everything that it does.",
        unit: "s",
        isLogarithmic: true,
      },
      ["nodejs_eventloop_lag_p99_seconds", "{{job}} {{instance}}"],
    ),
  );
