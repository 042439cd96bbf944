import { setTimeout as delay } from "node:timers/promises";
import { StartMachineRequest, StopMachineRequest } from "../../src/gen/windhover/machines/v1/machines.ts";
import { call } from "../../src/lib/grpc/client.ts";
import type { Run } from "../lib/benchmark.ts";
import { Child } from "../lib/child.ts";
import { median, summarize } from "../lib/report/percentiles.ts";
import type { Report } from "../lib/report/report.ts";
import { number, table } from "../lib/report/table.ts";
import type { AbuseCounts, AbuseFunctions } from "./abuse.ts";
import type { Abuser } from "./abusers.ts";
import type { NeighboursWorld } from "./world.ts";

/** What happened to the victim. */
export interface Outcome {
  readonly name: string;
  readonly quiet: readonly number[];
  readonly beside: readonly number[];
  /** Of the victim's calls beside the abuser. */
  readonly failed: number;
  readonly abuse: string;
}

/** A start that takes longer has failed, and counts as this long. */
const START_TIMEOUT_MS = 10_000;
const CREATE_TIMEOUT_MS = 30_000;
/** For the abuser to reach its full speed. */
const RAMP_UP_MS = 6_000;
/** Least and most time of a measurement. */
const [QUIET_MS, BESIDE_MS, LIMIT_MS] = [3_000, 10_000, 45_000];
const LEAST_SAMPLES = 5;
/** What counts as quiet again: a median of so many starts, at most so many times the first. */
const [SETTLED_STARTS, SETTLED_RATIO, SETTLE_LIMIT_MS] = [20, 1.5, 60_000];
/** The most that a neighbour may do to the p99 of others. */
const TARGET_RATIO = 3;

let quietMedian: number | undefined;

/** Measures starts, and perhaps creates, of the victim alone and beside an abuser. */
export async function measureAbuser(
  world: NeighboursWorld,
  abuser: Abuser,
  run: Run,
): Promise<readonly Outcome[]> {
  const { progress, signal } = run;
  const creates = abuser.slowsCreates ? run.scaled(40, LEAST_SAMPLES) : 0;
  return progress.step(abuser.name, async (say) => {
    say("prepares");
    const org = await world.openAbuser(abuser.name);
    const job = await abuser.prepare(org, world);
    say("quiet");
    await settle(world, signal);
    const quiet = await starts(world, run.runs, QUIET_MS, signal);
    const quietCreates = await measureCreates(world, creates, signal);
    say("beside it");
    await using child = new Child<AbuseFunctions>(new URL("./abuse.ts", import.meta.url));
    await child.functions.begin(world.fleet.services.api, org.token, job);
    await delay(RAMP_UP_MS, undefined, { signal });
    const [before, startedAt] = [await child.functions.counts(), performance.now()];
    const beside = await starts(world, run.runs, BESIDE_MS, signal);
    const besideCreates = await measureCreates(world, creates, signal);
    const abuse = describe(before, await child.functions.counts(), performance.now() - startedAt);
    const { name } = abuser;
    const outcomes = [{ name, quiet: quiet.ms, beside: beside.ms, failed: beside.failed, abuse }];
    if (creates > 0)
      outcomes.push({
        ...{ name: `${name}_create`, quiet: quietCreates.ms, beside: besideCreates.ms },
        ...{ failed: besideCreates.failed, abuse: "" },
      });
    return outcomes;
  });
}

/** Starts and stops the victim's machine, at least `count` times within `leastMs`. */
export async function starts(
  { fleet, victimMachine: machineId }: NeighboursWorld,
  count: number,
  leastMs: number,
  signal: AbortSignal,
): Promise<{ readonly ms: readonly number[]; readonly failed: number }> {
  const { machines } = fleet.clients.raw;
  const start = StartMachineRequest.fromPartial({ machineId, watch: { seconds: 0n, nanos: 0 } });
  const stop = StopMachineRequest.fromPartial({ machineId });
  const scope = { timeoutMs: START_TIMEOUT_MS, signal };
  const ms: number[] = [];
  let failed = 0;
  const begun = performance.now();
  const isOver = () => {
    const elapsedMs = performance.now() - begun;
    if (elapsedMs > LIMIT_MS) return ms.length >= LEAST_SAMPLES;
    return ms.length >= count && elapsedMs >= leastMs;
  };
  while (!isOver()) {
    signal.throwIfAborted();
    const startedAt = performance.now();
    const answer = await call(machines, machines.startMachine, start, scope).catch(() => undefined);
    const elapsed = performance.now() - startedAt;
    if (answer === undefined) failed += 1;
    // One that an earlier call has started is no sample.
    if (!answer?.alreadyStarted)
      ms.push(answer === undefined ? Math.max(elapsed, START_TIMEOUT_MS) : elapsed);
    await call(machines, machines.stopMachine, stop, scope).catch(() => undefined);
  }
  return { ms, failed };
}

/** Adds the rows, and the table that puts them side by side. */
export function addSummary(report: Report, outcomes: readonly Outcome[]): void {
  const heading = [
    "",
    "quiet p50",
    "p99",
    "beside p50",
    "p99",
    "p50 ratio",
    "p99 ratio",
    "",
    "failed",
    "abuser",
  ];
  const body = outcomes.map(({ name, quiet, beside, failed, abuse }) => {
    report.add(`${name}_quiet`, "ms", quiet);
    report.add(name, "ms", beside);
    const [before, after] = [summarize("", "", quiet), summarize("", "", beside)];
    const ratios = [after.p50 / before.p50, after.p99 / before.p99];
    const isMet = (ratios[1] ?? 0) <= TARGET_RATIO && failed === 0;
    const times = [before.p50, before.p99, after.p50, after.p99].map(number);
    return [
      ...[name, ...times, ...ratios.map((ratio) => `${number(ratio)}x`), isMet ? "ok" : "MISSED"],
      ...[`${failed} of ${beside.length}`, abuse],
    ];
  });
  report.note(`a start that takes longer than ${START_TIMEOUT_MS / 1_000} s has failed and counts as that`);
  report.section(
    `Times of the victim, in ms; target: p99 at most ${TARGET_RATIO} times its quiet figure`,
    table([heading, ...body]),
  );
}

async function measureCreates(world: NeighboursWorld, count: number, signal: AbortSignal) {
  const ms: number[] = [];
  let failed = 0;
  for (let i = 0; i < count; i++) {
    signal.throwIfAborted();
    const image = await world.newImage();
    try {
      ms.push(await world.victimCreate(image, CREATE_TIMEOUT_MS));
    } catch {
      failed += 1;
      ms.push(CREATE_TIMEOUT_MS);
      if (failed === LEAST_SAMPLES) break;
    }
  }
  return { ms, failed };
}

/** Waits until starts are as fast as before the first abuser. */
async function settle(world: NeighboursWorld, signal: AbortSignal): Promise<void> {
  const until = performance.now() + SETTLE_LIMIT_MS;
  for (;;) {
    // The first ones are slower: Node compiles.
    const { ms } = await starts(world, quietMedian === undefined ? 500 : SETTLED_STARTS, 0, signal);
    const now = median(ms.slice(-SETTLED_STARTS));
    quietMedian ??= now;
    if (now <= quietMedian * SETTLED_RATIO || performance.now() > until) return;
    await delay(500, undefined, { signal });
  }
}

/** E.g. `61/s ok, 912/s RATE_LIMITED, 64 under way`. */
function describe(before: AbuseCounts, after: AbuseCounts, ms: number): string {
  const rates = Object.entries(after.ended)
    .map(([outcome, count]) => ({ outcome, rate: (1_000 * (count - (before.ended[outcome] ?? 0))) / ms }))
    .filter(({ rate }) => rate > 0)
    .sort((a, b) => b.rate - a.rate);
  return [
    ...rates.map(({ outcome, rate }) => `${number(rate)}/s ${outcome}`),
    `${after.underWay} under way`,
  ].join(", ");
}
