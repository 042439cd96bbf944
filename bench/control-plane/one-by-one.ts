import type { Run } from "../lib/benchmark.ts";
import { type BenchFleet, startUnwatched } from "../lib/fleet.ts";
import { breakdownTable, startTimes } from "../lib/measure/breakdown.ts";
import { readTraces } from "../lib/measure/traces.ts";

/** Measures starts one after the other. As many come first, for Node to compile code. */
export async function measureStarts(fleet: BenchFleet, run: Run): Promise<void> {
  const { runs, report, progress, signal } = run;
  const { clients, services } = fleet;
  const { id } = await fleet.create();
  const once = async () => {
    const startedAt = performance.now();
    const traceId = await startUnwatched(clients, id);
    const stopAt = performance.now();
    await clients.stop(id);
    return { ms: stopAt - startedAt, traceId, stopMs: performance.now() - stopAt };
  };
  const starts = await run.repeat("starts", runs, once, runs);
  await clients.destroy(id, true);
  const traceIds = starts.map(({ traceId }) => traceId);
  const traces = await progress.step("traces", () => readTraces(services, traceIds, signal));
  const split = starts.flatMap(({ ms, traceId }) => {
    const times = startTimes(traces.get(traceId) ?? []);
    return times === undefined ? [] : [{ ...times, outsideMs: ms - times.vmmMs }];
  });
  const samples = {
    start: starts.map(({ ms }) => ms),
    control_plane: split.map(({ outsideMs }) => outsideMs),
    before_vmm: split.map(({ beforeVmmMs }) => beforeVmmMs),
    after_vmm: split.map(({ afterVmmMs }) => afterVmmMs),
    stop: starts.map(({ stopMs }) => stopMs),
  };
  report.addTimes(samples, "no start's trace was complete");
  if (split.length === 0) return;
  report.section("Where the time of a start goes: mean of each span's own time, in ms", [
    ...breakdownTable([{ name: "start", traces: [...traces.values()] }]),
  ]);
}

/** Measures creates and destroys one after the other. The image is local. */
export async function measureCreates(fleet: BenchFleet, run: Run): Promise<void> {
  const runs = run.scaled(5, 50);
  const once = async () => {
    const startedAt = performance.now();
    const { id } = await fleet.create();
    const createdAt = performance.now();
    await fleet.clients.destroy(id);
    return { createMs: createdAt - startedAt, destroyMs: performance.now() - createdAt };
  };
  const samples = await run.repeat("creates", runs, once, Math.max(5, Math.round(runs / 5)));
  run.report.addTimes({
    create_cached: samples.map(({ createMs }) => createMs),
    destroy: samples.map(({ destroyMs }) => destroyMs),
  });
}
