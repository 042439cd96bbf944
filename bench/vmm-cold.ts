/**
 * Measures cold starts of the VMM alone, from the call to the program's exec, with their phases,
 * and what a VM costs.
 *
 * `npm run bench -- vmm-cold [--runs N]`
 */
import { benchmark } from "./lib/benchmark.ts";
import { measureLaunches, withVmm } from "./lib/launches.ts";

await benchmark({ name: "vmm-cold", title: "Cold starts of the VMM alone", defaultRuns: 20 }, (run) =>
  withVmm(run, "a VMM", {}, (bench) => measureLaunches(run, bench, "cold")),
);
