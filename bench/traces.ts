/**
 * Measures the trace receiver on one processor: spans per second, requests and reads at 5,000 spans
 * per second, and what a trace takes on disk. Traces are sealed and evicted meanwhile.
 *
 * `npm run bench -- traces [--runs N] [--readme]`
 */
import { setTimeout as sleep } from "node:timers/promises";
import { benchmark, type Run } from "./lib/benchmark.ts";
import { Child } from "./lib/child.ts";
import { cpuMs } from "./lib/measure/cpu.ts";
import { Reads } from "./traces/reads.ts";
import { BenchReceiver } from "./traces/receiver.ts";
import { ENCODINGS, type Sent, type sender } from "./traces/sender.ts";
import { makeStarts } from "./traces/starts.ts";

const PACE = 5_000;
const PACE_MS = 30_000;
const STARTS = makeStarts().traceIds.length;
/** Starts that each encoding is measured with. */
const MEASURED = 12_800;
const QUIET_LIMIT_MS = 60_000;

await benchmark(
  {
    name: "traces",
    title: "The trace receiver on one processor",
    // Traces that are kept, and made before anything is measured.
    defaultRuns: 20_000,
    targets: { ingest_protobuf: { p50: PACE, atLeast: true } },
  },
  (run) =>
    run.with(
      "a receiver",
      () => BenchReceiver.start(run.folder, run.runs),
      async (receiver) => {
        await using child = new Child<typeof sender>(new URL("./traces/sender.ts", import.meta.url));
        await measure(run, receiver, child);
      },
    ),
);

async function measure(run: Run, receiver: BenchReceiver, child: Child<typeof sender>): Promise<void> {
  const { report, progress } = run;
  report.note(`${run.runs} traces are kept, of 20 spans each; the receiver has one processor`);
  await progress.step(`${run.runs} traces`, async (say) => {
    for (let made = 0; made < run.runs; made += 100 * STARTS) {
      say(`${made} of ${run.runs}`);
      await child.functions.saturate(receiver.target("protobuf"), 100);
      run.signal.throwIfAborted();
    }
  });
  for (const encoding of ENCODINGS) {
    const sent = await progress.step(encoding, () =>
      child.functions.saturate(receiver.target(encoding), Math.ceil(MEASURED / STARTS)),
    );
    report.add(`ingest_${encoding}`, "spans/s", sent.perSecond);
    check(run, encoding, sent);
  }
  await progress.step("sealing", () => sealed(receiver));
  await progress.step(`${PACE} spans per second`, async () => {
    const before = { cpu: cpuMs(receiver.pid), at: performance.now() };
    const reads = new Reads(receiver);
    const sent = await child.functions.pace(receiver.target("protobuf"), PACE, PACE_MS);
    const cpu = (cpuMs(receiver.pid) - before.cpu) / (performance.now() - before.at);
    const { healthMs, traceMs } = await reads.end(sent.traceIds);
    report.add("spans_at_5000", "spans/s", sent.perSecond);
    report.addTimes({ request_at_5000: sent.requestMs, health_at_5000: healthMs, read: traceMs });
    report.add("processor_at_5000", "%", [100 * cpu]);
    check(run, "paced", sent);
  });
  await progress.step("sealing", () => sealed(receiver));
  const { diskBytes, traces, operations } = receiver.reader.state();
  report.add("restart", "ms", await run.repeat("restarts", 3, () => receiver.restart(), 0));
  report.add("disk_per_trace", "KiB", [diskBytes / 1_024 / traces]);
  report.note(
    `at the end ${traces} traces with ${operations} operations, ${Math.round(diskBytes / 2 ** 20)} MiB`,
  );
}

function check(run: Run, name: string, sent: Sent): void {
  if (sent.failed > 0) run.report.fail(`${name}: ${sent.failed} requests failed`);
}

/** Waits until all traces are sealed. */
async function sealed(receiver: BenchReceiver): Promise<void> {
  const deadline = performance.now() + QUIET_LIMIT_MS;
  while (receiver.reader.state().unsealed > 0 && performance.now() < deadline) await sleep(250);
}
