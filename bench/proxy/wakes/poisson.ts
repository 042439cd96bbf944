import { setTimeout as delay } from "node:timers/promises";
import type { Run } from "../../lib/benchmark.ts";
import { countPath, describePaths } from "../../lib/measure/by-path.ts";
import { median, summarize } from "../../lib/report/percentiles.ts";
import { number, table } from "../../lib/report/table.ts";
import { HttpClient } from "../http-client.ts";
import type { App, ProxyWorld } from "../world.ts";
import { poissonArrivals, seeded, windowsOf } from "./arrivals.ts";

/** One request of the process. */
interface Arrival {
  /** When it was sent, in milliseconds from the begin. */
  readonly atMs: number;
  /** Until its first byte. */
  readonly ms: number;
  readonly startPath: string;
}

const PER_SECOND = 2;
const WINDOW_MS = 10_000;
/** Two minutes, with the default of runs; shorter with fewer. */
const MOST_WINDOWS = 12;
const RUNS_PER_WINDOW = 16;
const SEED = 20_261_130;
const READY_LIMIT_MS = 60_000;
const POOL_EVERY_MS = 1_000;

/**
 * Measures wakes that arrive as a Poisson process, whatever becomes of the earlier ones. Each is of
 * an app that sleeps, whose machine is stopped again after the answer.
 */
export async function measurePoisson(world: ProxyWorld, apps: readonly App[], run: Run): Promise<void> {
  const { report, progress, signal } = run;
  const windows = Math.max(1, Math.min(MOST_WINDOWS, Math.round(run.runs / RUNS_PER_WINDOW)));
  const arrivals = poissonArrivals(PER_SECOND, windows * WINDOW_MS, seeded(SEED));
  world.pool.forget();
  await world.pool.ready("warm", READY_LIMIT_MS, signal);
  const { samples, lost, late, pool } = await progress.step("wakes at random times", (say) =>
    arrive(world, apps, arrivals, say, signal),
  );
  report.add(
    "poisson_wake",
    "ms",
    samples.map(({ ms }) => ms),
    "no wake succeeded",
  );
  const byWindow = windowsOf(samples, WINDOW_MS, windows);
  const pools = windowsOf(pool, WINDOW_MS, windows);
  const body = byWindow.map((window, i) => {
    const seconds = `${(i * WINDOW_MS) / 1_000}`.padStart(3, "0");
    const times = window.map(({ ms }) => ms);
    report.add(`poisson_from_${seconds}s`, "ms", times, "no wake began in it");
    const paths = new Map<string, number>();
    for (const { startPath } of window) countPath(paths, startPath);
    const figures = times.length === 0 ? ["", ""] : [median(times), summarize("", "", times).p99].map(number);
    const waiting = Math.min(...(pools[i] ?? []).map(({ size }) => size));
    return [
      ...[`${seconds} s`, String(times.length), ...figures],
      ...[Number.isFinite(waiting) ? String(waiting) : "", describePaths(paths)],
    ];
  });
  const heading = ["from", "wakes", "p50", "p99", "least pool", "start paths"];
  report.section(`Wakes at random times, ${PER_SECOND} a second, by 10 s`, table([heading, ...body]));
  report.note(
    `poisson_...: ${PER_SECOND} wakes a second on the average, for ${windows * 10} s, over ${apps.length} apps`,
  );
  if (late > 0) report.note(`poisson_...: ${late} arrivals found no app asleep and were left out`);
  if (lost.length > 0) report.fail(`poisson_...: ${lost.length} requests LOST: ${lost[0]}`);
}

async function arrive(
  world: ProxyWorld,
  apps: readonly App[],
  arrivals: readonly number[],
  say: (detail: string) => void,
  signal: AbortSignal,
) {
  await using client = new HttpClient(world.proxy, apps.length, signal);
  const asleep = [...apps];
  const samples: Arrival[] = [];
  const pool: { readonly atMs: number; readonly size: number }[] = [];
  const lost: string[] = [];
  let late = 0;
  const startedAt = performance.now();
  const now = () => performance.now() - startedAt;
  const wake = async (app: App) => {
    const atMs = now();
    try {
      const { firstByteMs, start } = await client.ask(app.host);
      samples.push({ atMs, ms: firstByteMs, startPath: start?.startPath ?? "none" });
    } catch (cause) {
      lost.push(cause instanceof Error ? cause.message : String(cause));
    }
    await world.stop(app).catch(() => undefined);
    asleep.push(app);
  };
  const watching = setInterval(() => {
    const atMs = now();
    world.pool.size(signal).then(
      (size) => pool.push({ atMs, size }),
      () => undefined,
    );
  }, POOL_EVERY_MS);
  const underWay: Promise<void>[] = [];
  try {
    for (const [i, at] of arrivals.entries()) {
      await delay(Math.max(0, at - now()), undefined, { signal });
      say(`${i} of ${arrivals.length}`);
      // The one that has slept for longest.
      const app = asleep.shift();
      if (app === undefined) late += 1;
      else underWay.push(wake(app));
    }
    await Promise.all(underWay);
  } finally {
    clearInterval(watching);
  }
  signal.throwIfAborted();
  return { samples, lost, late, pool };
}
