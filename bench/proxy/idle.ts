import { setTimeout as delay } from "node:timers/promises";
import pMap from "p-map";
import type { Run } from "../lib/benchmark.ts";
import { HttpClient } from "./http-client.ts";
import type { Program } from "./programs.ts";
import { seeded } from "./wakes/arrivals.ts";
import type { App, ProxyWorld } from "./world.ts";

const APPS = 24;
const OPENED_AT_ONCE = 4;
/** With the default of runs, 10,000 boundaries. */
const BOUNDARIES_PER_RUN = 50;
const IDLE_SECONDS = 1;
/** Between a second and several after the last request the proxy asks for the stop. */
const PAUSE_MS = { least: 900, most: 5_000 };
const SEED = 20_261_130;
const LIMIT_MS = 2_700_000;

/**
 * Sends requests at random moments around the idle stop of their machine: just before it, during it
 * and after it. POST, since the proxy does not send those again once a machine may have read them.
 */
export async function measureIdle(world: ProxyWorld, program: Program, run: Run): Promise<void> {
  const { report, progress, signal } = run;
  const count = BOUNDARIES_PER_RUN * run.runs;
  const machines = Math.min(APPS, count);
  const names = Array.from({ length: machines }, (_, i) => `idle-${i + 1}`);
  const open = (name: string) => world.openApp(name, program, { idleSeconds: IDLE_SECONDS });
  const apps = await progress.step("apps that stop when idle", () =>
    pMap(names, open, { concurrency: OPENED_AT_ONCE, signal }),
  );
  const retriesBefore = await world.metric("windhover_proxy_retries_total");
  const stopsBefore = await world.metric("windhover_proxy_idle_stops_total");
  const { woken, awake, lost } = await progress.step("idle boundaries", (say) =>
    cross(world, apps, count, say, signal),
  );
  const retries = (await world.metric("windhover_proxy_retries_total")) - retriesBefore;
  const asked = (await world.metric("windhover_proxy_idle_stops_total")) - stopsBefore;
  await pMap(apps, ({ machineId }) => world.fleet.clients.destroy(machineId, true), {
    concurrency: OPENED_AT_ONCE,
  });
  const sent = woken.length + awake.length + lost.length;
  report.add("idle_boundaries", "requests", [sent]);
  report.add("idle_lost", "requests", [lost.length]);
  report.add("idle_woken", "ms", woken, "no machine was stopped before a request");
  report.add("idle_awake", "ms", awake, "every machine was stopped before a request");
  report.note(
    `idle_...: ${machines} machines, idle_timeout ${IDLE_SECONDS} s; ${woken.length} of ${sent} requests found theirs stopped`,
  );
  report.note(`idle_...: ${asked} stops were asked for; ${retries} attempts of requests were repeated`);
  if (sent < count) report.note(`idle_...: the time was over after ${sent} of ${count} boundaries`);
  if (lost.length > 0)
    report.fail(`idle_...: ${lost.length} requests LOST: ${[...new Set(lost)].slice(0, 3).join("; ")}`);
}

async function cross(
  world: ProxyWorld,
  apps: readonly App[],
  count: number,
  say: (detail: string) => void,
  signal: AbortSignal,
) {
  await using client = new HttpClient(world.proxy, apps.length, signal);
  const random = seeded(SEED);
  const deadline = performance.now() + LIMIT_MS;
  const woken: number[] = [];
  const awake: number[] = [];
  const lost: string[] = [];
  let begun = 0;
  const visit = async ({ host }: App) => {
    while (begun < count && performance.now() < deadline) {
      begun += 1;
      const pauseMs = PAUSE_MS.least + random() * (PAUSE_MS.most - PAUSE_MS.least);
      await delay(pauseMs, undefined, { signal });
      try {
        const { firstByteMs, start } = await client.ask(host, { method: "POST", body: "x" });
        (start === undefined ? awake : woken).push(firstByteMs);
      } catch (cause) {
        signal.throwIfAborted();
        lost.push(cause instanceof Error ? cause.message : String(cause));
      }
      say(`${woken.length + awake.length + lost.length} of ${count}`);
    }
  };
  await Promise.all(apps.map(visit));
  return { woken, awake, lost };
}
