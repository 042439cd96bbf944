import { createLogger } from "../../src/lib/runtime/log.ts";
import { planFaults } from "./faults/random-faults.ts";
import { Fleet } from "./fleet.ts";
import { GUARDS, type Guards } from "./guards.ts";
import { checkAlways, checkEnded, unsettled } from "./invariants.ts";
import { installGlobals } from "./world/globals.ts";
import { currentLife, World } from "./world/world.ts";

/**
 * Simulates a region from a seed: the real domain code of api, scheduler and hostd, on simulated time, network, Redis, Postgres and disks.
 * Faults for a while, then none; after every event the invariants must hold, and some time after the last fault everything must be settled.
 *
 * Where things are: `world.ts` time and processes; `globals.ts` timers, clocks and chance of the code under test; `network.ts`, `streams.ts`,
 * `postgres*.ts`, `redis.ts`, `disk.ts`, `vms.ts`, `images.ts` what lies around it; `api.ts`, `scheduler.ts`, `host.ts` its wiring; `users/`
 * what is asked of it; `machines/` what machines run, and who looks on at what hosts store of them; `faults.ts` what goes wrong (add one
 * there); `watch.ts`, `histories.ts`, `invariants.ts`, `machine-invariants.ts` what must not; `guards.ts` what is replaced to show that a
 * failure would be found.
 */

/** Faults end then. */
const FAULTS_MS = 45_000;
/** Everything must be settled so long after that. */
const SETTLE_MS = 10 * 60_000;
/** It is looked whether everything is settled so often. */
const LOOK_MS = 2_000;
/** Settled, it must stay so this long: nothing may come after. */
const STAY_MS = 4_000;

/** How a schedule went. */
export interface Outcome {
  readonly seed: number;
  /** What was violated, in words; empty when nothing was. */
  readonly violations: readonly string[];
  /** What happened, line by line, when it was asked for. */
  readonly lines: readonly string[];
  /** Two runs of a seed have the same. */
  readonly fingerprint: string;
  readonly events: number;
  /** How long after the last fault everything was settled, in milliseconds. */
  readonly settledAfterMs: number;
}

/** How a schedule is run. */
export interface SimulateOptions {
  /** Whether to note what happens, line by line. */
  readonly isVerbose?: boolean;
  readonly guards?: Guards;
  /** What goes wrong until then. Default {@link planFaults}. */
  readonly plan?: (fleet: Fleet, untilMs: number) => void;
}

/** Runs the schedule of a seed. One at a time in a process. */
export async function simulate(seed: number, options: SimulateOptions = {}): Promise<Outcome> {
  const { isVerbose = false, guards = GUARDS, plan = planFaults } = options;
  installGlobals();
  const world = new World(seed, isVerbose);
  logTo(world, isVerbose);
  const fleet = new Fleet(world, guards);
  const { watch } = fleet;
  const hasFailed = () => watch.violations.length > 0;
  world.onEvent = (happenedIn) => checkAlways(fleet, happenedIn);
  // It would end a real process.
  const onRejection = (reason: unknown) => watch.violated(`nobody heard of a failure: ${String(reason)}`);
  process.on("unhandledRejection", onRejection);
  try {
    plan(fleet, FAULTS_MS);
    fleet.start();
    await world.run(FAULTS_MS, hasFailed);
    world.log("world", "all faults end");
    fleet.heal();
    await settle(fleet, hasFailed);
  } finally {
    process.off("unhandledRejection", onRejection);
    for (const each of world.processes) each.end();
    fleet.close();
  }
  const { violations } = watch;
  const { lines, fingerprint, events, nowMs } = world;
  return { seed, violations, lines, fingerprint, events, settledAfterMs: nowMs - FAULTS_MS - STAY_MS };
}

async function settle(fleet: Fleet, hasFailed: () => boolean): Promise<void> {
  const { world, watch } = fleet;
  let settledMs = Number.POSITIVE_INFINITY;
  for (;;) {
    await world.run(world.nowMs + LOOK_MS, hasFailed);
    checkEnded(fleet);
    if (hasFailed()) return;
    const wrong = unsettled(fleet);
    settledMs = wrong.length > 0 ? Number.POSITIVE_INFINITY : Math.min(settledMs, world.nowMs);
    if (world.nowMs - settledMs >= STAY_MS) return;
    if (world.nowMs < FAULTS_MS + SETTLE_MS) continue;
    for (const what of wrong) watch.violated(`${SETTLE_MS / 60_000} min after the last fault: ${what}`);
    return;
  }
}

/** What the code under test logs belongs to the replay; without one nobody reads it. */
function logTo(world: World, isVerbose: boolean): void {
  createLogger("sim", {
    level: isVerbose ? "info" : "error",
    write: (line) => {
      if (isVerbose) world.say(currentLife()?.process.name ?? "", readable(line));
    },
  });
}

/** A line of the program's log without what the replay says already, and without stacks. */
function readable(line: string): string {
  // Written by the logger.
  const { time: _, service: _s, level, msg, error, ...facts } = JSON.parse(line) as Record<string, unknown>;
  const said = typeof error === "object" && error !== null && "message" in error ? error.message : error;
  const rest = Object.entries(facts).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`);
  return `[${level}] ${msg}${rest.join("")}${said === undefined ? "" : `: ${said}`}`;
}
