import { temporaryFolder } from "../../test/support/temporary.ts";
import { main } from "../../tools/lib/main.ts";
import type { Progress } from "../../tools/lib/progress.ts";
import { benchOptions } from "./options.ts";
import { Report, type ReportOptions } from "./report/report.ts";

/** What a benchmark measures with. */
export class Run {
  /** How often the fastest operation is measured. */
  readonly runs: number;
  readonly report: Report;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** A folder that is removed at the end. */
  readonly folder: string;
  /** The parts to measure, of a benchmark that has parts. */
  readonly parts: readonly string[];

  constructor(
    runs: number,
    report: Report,
    progress: Progress,
    signal: AbortSignal,
    folder: string,
    parts: readonly string[] = [],
  ) {
    this.runs = runs;
    this.report = report;
    this.progress = progress;
    this.signal = signal;
    this.folder = folder;
    this.parts = parts;
  }

  /** Returns `runs / divisor`, for slower operations: at least `least`, at most `runs`. */
  scaled(divisor: number, least: number): number {
    return Math.min(this.runs, Math.max(least, Math.round(this.runs / divisor)));
  }

  /**
   * Returns the results of `count` calls, one after the other. Drops those of `warmUp` calls
   * before. No call begins after `limitMs`.
   */
  repeat<T>(
    name: string,
    count: number,
    once: () => Promise<T>,
    warmUp = 1,
    limitMs = Number.POSITIVE_INFINITY,
  ): Promise<T[]> {
    return this.progress.step(name, async (say) => {
      const results: T[] = [];
      const deadline = performance.now() + limitMs;
      for (let i = -warmUp; i < count && performance.now() < deadline; i++) {
        this.signal.throwIfAborted();
        say(i < 0 ? "warming up" : `${i} of ${count}`);
        const result = await once();
        if (i >= 0) results.push(result);
      }
      return results;
    });
  }

  /** Opens something, works with it and closes it. */
  async with<T extends AsyncDisposable, R>(
    name: string,
    open: () => Promise<T>,
    work: (opened: T) => Promise<R>,
  ): Promise<R> {
    const opened = await this.progress.step(name, open);
    try {
      return await work(opened);
    } finally {
      await this.progress.step(`end of ${name}`, async () => opened[Symbol.asyncDispose]());
    }
  }
}

/** Runs a benchmark as a command. Its exit code is 1 when the report has failures. */
export async function benchmark(
  {
    defaultRuns,
    parts = [],
    ...options
  }: Omit<ReportOptions, "readme"> & { readonly defaultRuns: number; readonly parts?: readonly string[] },
  measure: (run: Run) => Promise<void>,
): Promise<void> {
  await main(async (signal, progress) => {
    const { runs, readme, only } = benchOptions(process.argv.slice(2), defaultRuns, parts);
    const report = new Report({ ...options, readme });
    const files = temporaryFolder("bench-files");
    try {
      await measure(new Run(runs, report, progress, signal, files.path, only));
      report.finish();
      return report.hasFailures ? 1 : 0;
    } catch (cause) {
      // Figures that took half an hour are shown, but are no result.
      if (!signal.aborted) process.stdout.write(`\n${report.text()}\n\nThe benchmark has failed:\n`);
      throw cause;
    } finally {
      files.remove();
    }
  });
}

/** Calls `work` and returns how long it took, in milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}
