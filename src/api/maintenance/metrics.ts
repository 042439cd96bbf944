import { counter } from "../../lib/otel/metrics.ts";

export const sweeps = counter("windhover_sweeps_total", "Rounds of comparing every host with the database.");
sweeps.inc(0);

export const sweepRepairs = counter(
  "windhover_sweep_repairs_total",
  "Differences between hosts and the database that were repaired, by kind.",
  ["kind"],
);
for (const kind of ["unknown", "ahead", "missing"]) sweepRepairs.inc({ kind }, 0);
