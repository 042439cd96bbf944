import type { Run } from "../../lib/benchmark.ts";
import { type ByPath, describePaths, measureByPath } from "../../lib/measure/by-path.ts";
import type { Program, ProgramName } from "../programs.ts";
import type { StartReport } from "../start-report.ts";
import type { App, ProxyWorld } from "../world.ts";

/** A request that started a machine. */
export interface Wake extends StartReport {
  /** From the request to the first byte of its answer. */
  readonly ms: number;
}

export type WakePath = "warm" | "template" | "cold" | "snapshot" | "resume";

/** The wakes of one program by one start path. */
export interface Wakes {
  readonly program: ProgramName;
  readonly startPath: WakePath;
  readonly samples: readonly Wake[];
}

/** Longest time of one series; what is measured until then counts. */
const LIMIT_MS = 480_000;

/** Measures requests to a stopped machine until their first byte, by start path; adds the rows. */
export async function measureWakes(
  world: ProxyWorld,
  program: Program,
  paths: readonly WakePath[],
  run: Run,
): Promise<readonly Wakes[]> {
  const { report, progress, signal } = run;
  const { name } = program;
  const all: Wakes[] = [];
  const plain = await progress.step(`app of ${name}`, () => world.openApp(`wake-${name}`, program));
  const saved = paths.includes("snapshot")
    ? await progress.step(`saved app of ${name}`, () =>
        world.openApp(`wake-${name}-saved`, program, { isSaved: true }),
      )
    : plain;
  for (const startPath of paths) {
    const app = startPath === "snapshot" ? saved : plain;
    const rest = () => (startPath === "resume" ? world.suspend(app) : world.stop(app));
    const series = {
      ...{ startPath, count: countOf(name, startPath, run), limitMs: LIMIT_MS },
      // What was saved is there at once, as a cold start is.
      ready: (limitMs: number) =>
        world.pool.ready(
          startPath === "warm" || startPath === "template" ? startPath : "cold",
          limitMs,
          signal,
        ),
      start: async () => {
        const wake = await wakeOnce(world, app);
        await rest();
        return wake;
      },
      // It may run or not; one that still stops is waited for by the next start.
      recover: () => world.stop(app).catch(() => undefined),
    };
    const title = `wakes of ${name}, ${startPath}`;
    const measured = await progress.step(title, (say) => measureByPath(series, say, signal));
    addRow(run, `wake_${name}_${startPath}`, measured);
    all.push({ program: name, startPath, samples: measured.samples });
  }
  for (const { machineId } of new Set([plain, saved])) await world.fleet.clients.destroy(machineId, true);
  report.note(`wake_${name}_...: one request at a time, to a machine that is stopped (resume: suspended)`);
  return all;
}

async function wakeOnce({ client }: ProxyWorld, { host }: App): Promise<Wake> {
  const { firstByteMs, start } = await client.ask(host);
  if (start === undefined) throw new Error(`the machine of ${host} ran already`);
  return { ...start, ms: firstByteMs };
}

/** Slower starts are measured less often, and so are programs that take seconds. */
function countOf(program: ProgramName, startPath: WakePath, run: Run): number {
  const isSaved = startPath === "snapshot" || startPath === "resume";
  if (program !== "http") return isSaved ? run.scaled(10, 10) : run.scaled(20, 5);
  if (startPath === "warm") return run.runs;
  return startPath === "cold" ? run.scaled(10, 10) : run.scaled(4, 20);
}

function addRow({ report }: Run, row: string, { samples, others, failures }: ByPath<Wake>): void {
  const other = `wakes took another path: ${describePaths(others)}`;
  report.add(
    row,
    "ms",
    samples.map(({ ms }) => ms),
    others.size > 0 ? other : "no wake succeeded",
  );
  if (samples.length > 0 && others.size > 0) report.note(`${row}: besides these, ${other}`);
  if (failures.length > 0) report.fail(`${row}: ${failures.length} wakes FAILED: ${failures[0]}`);
}
