import { StartMachineRequest } from "../../src/gen/windhover/machines/v1/machines.ts";
import { call } from "../../src/lib/grpc/client.ts";
import type { Progress } from "../../tools/lib/progress.ts";
import { breakdownTable, startTimes } from "../lib/breakdown.ts";
import type { BenchFleet } from "../lib/fleet.ts";
import { scaled } from "../lib/options.ts";
import type { Report } from "../lib/report.ts";
import type { ClientTracing } from "../lib/tracing.ts";

const TIMEOUT_MS = 30_000;
/** What a program's first requests pay for: connections, code that is not yet compiled. */
const WARM_UP = 20;

/** Starts one after the other: the whole, and of it the way to the VMM and the way back. */
export async function measureStarts(
  fleet: BenchFleet,
  tracing: ClientTracing,
  runs: number,
  report: Report,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const { id } = await fleet.create();
  const starts: { readonly ms: number; readonly traceId: string }[] = [];
  const stops: number[] = [];
  await progress.step("starts", async (say) => {
    for (let run = -scaled(runs, 1, WARM_UP); run < runs; run++) {
      signal.throwIfAborted();
      if (run % 50 === 0) say(run < 0 ? "warming up" : `${run} of ${runs}`);
      const startedAt = performance.now();
      const traceId = await startAtOnce(fleet, id);
      const stopAt = performance.now();
      await fleet.clients.stop(id);
      if (run < 0) continue;
      starts.push({ ms: stopAt - startedAt, traceId });
      stops.push(performance.now() - stopAt);
    }
  });
  await fleet.clients.destroy(id, true);
  const traceIds = starts.map(({ traceId }) => traceId);
  const traces = await progress.step("traces", () => tracing.read(traceIds, signal));
  const split = starts.flatMap(({ ms, traceId }) => {
    const times = startTimes(traces.get(traceId) ?? []);
    return times === undefined ? [] : [{ ms, times }];
  });
  const noTrace = "no start's trace was complete";
  report.add(
    "start",
    "ms",
    starts.map(({ ms }) => ms),
  );
  report.add(
    "control_plane",
    "ms",
    split.map(({ ms, times }) => ms - times.vmmMs),
    noTrace,
  );
  report.add(
    "hand_over",
    "ms",
    split.map(({ times }) => times.handOverMs),
    noTrace,
  );
  report.add(
    "way_back",
    "ms",
    split.map(({ times }) => times.wayBackMs),
    noTrace,
  );
  report.add("stop", "ms", stops);
  if (split.length === 0) return;
  report.section("Where the time of a start goes: mean of each span's own time, in ms", [
    ...breakdownTable([{ name: "start", traces: [...traces.values()] }]),
  ]);
}

/** Creates and destroys one after the other, the image being local already. */
export async function measureCreates(
  fleet: BenchFleet,
  runs: number,
  report: Report,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const creates: number[] = [];
  const destroys: number[] = [];
  await progress.step("creates", async (say) => {
    for (let run = -scaled(runs, 5, 5); run < runs; run++) {
      signal.throwIfAborted();
      if (run % 10 === 0) say(`${run} of ${runs}`);
      const startedAt = performance.now();
      const { id } = await fleet.create();
      const createdAt = performance.now();
      await fleet.clients.destroy(id);
      if (run < 0) continue;
      creates.push(createdAt - startedAt);
      destroys.push(performance.now() - createdAt);
    }
  });
  report.add("create_cached", "ms", creates);
  report.add("destroy", "ms", destroys);
}

/** Starts without watching the process for a moment afterwards: that would be no work of the control plane. Returns the trace's id. */
async function startAtOnce(fleet: BenchFleet, machineId: string): Promise<string> {
  const { machines } = fleet.clients.raw;
  const request = StartMachineRequest.fromPartial({ machineId, watch: { seconds: 0n, nanos: 0 } });
  const answer = await call(machines, machines.startMachine, request, { timeoutMs: TIMEOUT_MS });
  return answer.machine?.lastStartTraceId ?? "";
}
