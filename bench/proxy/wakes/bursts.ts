import pMap from "p-map";
import type { Run } from "../../lib/benchmark.ts";
import { HttpClient } from "../http-client.ts";
import type { App, ProxyWorld } from "../world.ts";

/** Requests of one burst. */
interface Burst {
  /** From the first call to the first byte of each answer. */
  readonly ms: readonly number[];
  /** Messages of requests without an answer. */
  readonly lost: readonly string[];
}

const SIZES = [1, 8, 32, 1_000];
const READY_LIMIT_MS = 60_000;
/** Longest time of all bursts of one size; what is measured until then counts. */
const LIMIT_MS = 180_000;
const STOPS_AT_ONCE = 4;

/** Measures bursts of requests to apps that sleep, and then to the same apps while they run. */
export async function measureBursts(world: ProxyWorld, apps: readonly App[], run: Run): Promise<void> {
  const { report, signal } = run;
  const count = run.scaled(40, 3);
  for (const size of SIZES) {
    // The host chooses the pool's size by what was started last.
    world.pool.forget();
    const row = burstRow(size, apps.length);
    const once = async () => {
      await world.pool.ready("warm", READY_LIMIT_MS, signal);
      const before = await world.metric("windhover_proxy_wakes_total");
      const asleep = await burst(world, apps, size, signal);
      const starts = (await world.metric("windhover_proxy_wakes_total")) - before;
      const awake = await burst(world, apps, size, signal);
      // Those that no request has started are stopped already.
      await pMap(apps, (app) => world.stop(app), { concurrency: STOPS_AT_ONCE, signal });
      return { asleep, awake, starts };
    };
    const bursts = await run.repeat(`bursts: ${row}`, count, once, 0, LIMIT_MS);
    report.add(
      row,
      "ms",
      bursts.flatMap(({ asleep }) => asleep.ms),
      "no request was answered",
    );
    report.add(
      `${row}_lost`,
      "requests",
      bursts.map(({ asleep }) => asleep.lost.length),
    );
    report.add(
      `${row}_starts`,
      "starts",
      bursts.map(({ starts }) => starts),
    );
    report.add(
      `${row}_awake`,
      "ms",
      bursts.flatMap(({ awake }) => awake.ms),
      "no request was answered",
    );
    const lost = bursts.flatMap(({ asleep, awake }) => [...asleep.lost, ...awake.lost]);
    if (lost.length > 0)
      report.fail(`${row}: ${lost.length} requests LOST: ${[...new Set(lost)].slice(0, 3).join("; ")}`);
  }
  report.note("burst_..._starts: starts that the proxy has asked for, by its metric");
}

/** Names the row of bursts. */
export function burstRow(size: number, apps: number): string {
  return `burst_${size}_to_${apps}_app${apps === 1 ? "" : "s"}`;
}

/** Sends requests at once, each over a new connection, to the apps in turn. */
async function burst(
  world: ProxyWorld,
  apps: readonly App[],
  size: number,
  signal: AbortSignal,
): Promise<Burst> {
  await using client = new HttpClient(world.proxy, size, signal);
  const startedAt = performance.now();
  const ms: number[] = [];
  const lost: string[] = [];
  const send = async ({ host }: App, delayMs: number) => {
    try {
      ms.push(delayMs + (await client.ask(host)).firstByteMs);
    } catch (cause) {
      lost.push(cause instanceof Error ? cause.message : String(cause));
    }
  };
  const sent = Array.from({ length: size }, (_, i) => apps[i % apps.length]);
  await Promise.all(sent.map((app) => app && send(app, performance.now() - startedAt)));
  signal.throwIfAborted();
  return { ms, lost };
}
