/**
 * Measures the proxy: what it adds to requests, requests that start machines, bursts of them, and
 * requests around the stop of an idle machine. nginx and boots by hand are beside it.
 *
 * `npm run bench -- proxy [--runs N] [--only latency,rate,...] [--readme]`
 */
import pMap from "p-map";
import { benchmark, type Run } from "./lib/benchmark.ts";
import { measureIdle } from "./proxy/idle.ts";
import { makeProgram, PROGRAMS, type Program } from "./proxy/programs.ts";
import { Fronts } from "./proxy/through/fronts.ts";
import { measureRate } from "./proxy/through/rate.ts";
import { measureBulk, measureLatency } from "./proxy/through/through.ts";
import { burstRow, measureBursts } from "./proxy/wakes/bursts.ts";
import { measurePlainWakes, takePlainParts } from "./proxy/wakes/plain-wakes.ts";
import { measurePoisson } from "./proxy/wakes/poisson.ts";
import { addWakes } from "./proxy/wakes/summary.ts";
import { measureWakes, type Wakes } from "./proxy/wakes/wakes.ts";
import { ProxyWorld } from "./proxy/world.ts";

const THROUGH = { latency: measureLatency, rate: measureRate, bulk: measureBulk };
const MANY = 32;
const OPENED_AT_ONCE = 4;

await benchmark(
  {
    name: "proxy",
    title: "Requests through the proxy, and machines that they start",
    defaultRuns: 200,
    parts: [
      ...Object.keys(THROUGH),
      ...PROGRAMS.map((name) => `wake_${name}`),
      ...["burst_1_app", `burst_${MANY}_apps`, "poisson", "idle"],
    ],
    targets: {
      proxy_adds: { p50: 1 },
      wake_http_warm: { p50: 60, p99: 200 },
      wake_node_snapshot: { p50: 500 },
      [`${burstRow(1_000, 1)}_lost`]: { p99: 0 },
      [`${burstRow(1_000, 1)}_starts`]: { p50: 1, p99: 1 },
      idle_lost: { p50: 0 },
    },
  },
  async (run) => {
    const { parts } = run;
    const isWanted = (part: string) => parts.includes(part);
    const programs = await makePrograms(run, isWanted);
    const woken = programs.filter(({ name }) => isWanted(`wake_${name}`));
    const http = programs.find(({ name }) => name === "http");
    const wakes: Wakes[] = [];
    await run.with(
      "a fleet",
      () => ProxyWorld.open(run, programs),
      async (world) => {
        if (http) await measureThrough(world, http, run, isWanted);
        for (const program of woken)
          wakes.push(...(await measureWakes(world, program, ["warm", "snapshot", "resume"], run)));
        if (http) await measureMany(world, http, run, isWanted);
        if (http && isWanted("idle")) await measureIdle(world, http, run);
      },
    );
    if (woken.length === 0) return;
    const measure = async (world: ProxyWorld, path: "template" | "cold") => {
      for (const program of woken) wakes.push(...(await measureWakes(world, program, [path], run)));
    };
    await run.with(
      "a fleet for templates",
      () => ProxyWorld.open(run, woken, "template,cold"),
      (world) => measure(world, "template"),
    );
    const plain = await run.with(
      "a fleet for cold starts",
      () => ProxyWorld.open(run, woken, "cold"),
      async (world) => {
        await measure(world, "cold");
        return takePlainParts(world, woken, run);
      },
    );
    await measurePlainWakes(plain, run);
    addWakes(run.report, wakes);
  },
);

/** Makes the images that the parts need. One that cannot be made is listed as absent. */
async function makePrograms(run: Run, isWanted: (part: string) => boolean): Promise<readonly Program[]> {
  const programs: Program[] = [];
  for (const name of PROGRAMS) {
    const part = `wake_${name}`;
    // Whatever is no wake of a program is measured with the server of a few lines.
    const isUsed = name === "http" ? run.parts.some((each) => !isOtherWake(each)) : isWanted(part);
    if (!isUsed) continue;
    const made = await makeProgram(name, run);
    if ("problem" in made) run.report.add(part, "ms", [], made.problem);
    else programs.push(made);
  }
  return programs;
}

function isOtherWake(part: string): boolean {
  return part.startsWith("wake_") && part !== "wake_http";
}

/** Measures what the proxy adds to requests to a machine that runs. */
async function measureThrough(
  world: ProxyWorld,
  http: Program,
  run: Run,
  isWanted: (part: string) => boolean,
): Promise<void> {
  const wanted = Object.entries(THROUGH).filter(([part]) => isWanted(part));
  if (wanted.length === 0) return;
  await run.with(
    "a machine, nginx and the proxy",
    () => Fronts.open(world, http, run),
    async (fronts) => {
      for (const [, measure] of wanted) await measure(fronts, run);
    },
  );
}

/** Measures many requests at once, and wakes at random times. */
async function measureMany(
  world: ProxyWorld,
  http: Program,
  run: Run,
  isWanted: (part: string) => boolean,
): Promise<void> {
  const { report, progress, signal } = run;
  if (isWanted("burst_1_app")) {
    const app = await progress.step("app for bursts", () => world.openApp("burst", http));
    await measureBursts(world, [app], run);
    await world.fleet.clients.destroy(app.machineId, true);
  }
  const parts = [`burst_${MANY}_apps`, "poisson"].filter(isWanted);
  if (parts.length === 0) return;
  const problem = await world.whyNotRoomFor(MANY);
  if (problem !== undefined) {
    for (const part of parts) report.add(part, "ms", [], problem);
    return;
  }
  const names = Array.from({ length: MANY }, (_, i) => `many-${i + 1}`);
  const open = (name: string) => world.openApp(name, http);
  const apps = await progress.step(`${MANY} apps`, () =>
    pMap(names, open, { concurrency: OPENED_AT_ONCE, signal }),
  );
  if (isWanted(`burst_${MANY}_apps`)) await measureBursts(world, apps, run);
  if (isWanted("poisson")) await measurePoisson(world, apps, run);
  await pMap(apps, ({ machineId }) => world.fleet.clients.destroy(machineId, true), {
    concurrency: OPENED_AT_ONCE,
  });
}
