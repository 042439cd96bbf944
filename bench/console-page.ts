/**
 * Measures the console's page in Chromium: its first paint, each filter from the click to the drawn
 * panels, and a waterfall, with 1,000, 10,000 and 100,000 operations kept.
 *
 * `npm run bench -- console-page [--runs N]`
 */
import { startBrowser } from "../test/console/world/browser.ts";
import { startWorld } from "../test/console/world/world.ts";
import { useOnce } from "./console-page/visit.ts";
import { benchmark, type Run } from "./lib/benchmark.ts";

const SIZES = [1_000, 10_000, 100_000] as const;
/** Traces whose spans are stored, for waterfalls: all would take minutes to write. */
const STORED_TRACES = 2_000;

await benchmark(
  {
    name: "console-page",
    title: "The console's page in a browser",
    defaultRuns: 10,
    targets: { first_paint_100000: { p99: 1_000 }, filter_100000: { p50: 300, p99: 300 } },
  },
  async (run) => {
    for (const size of SIZES) await measure(run, size);
  },
);

async function measure(run: Run, size: number): Promise<void> {
  const stored = Math.min(size, STORED_TRACES);
  const world = await run.progress.step(`${size} operations`, () => startWorld(size, { stored }));
  const browser = await startBrowser();
  try {
    const visits = await run.repeat(`visits of ${size}`, run.runs, () => useOnce(browser, world));
    run.report.add(
      `first_paint_${size}`,
      "ms",
      visits.map(({ paintMs }) => paintMs),
    );
    run.report.add(
      `panels_${size}`,
      "ms",
      visits.map(({ panelsMs }) => panelsMs),
    );
    run.report.add(
      `filter_${size}`,
      "ms",
      visits.flatMap(({ filtersMs }) => filtersMs),
    );
    run.report.add(
      `waterfall_${size}`,
      "ms",
      visits.map(({ waterfallMs }) => waterfallMs),
    );
  } finally {
    await browser.close();
    await world.close();
  }
}
