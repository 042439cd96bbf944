/**
 * Injects a fault, a slow disk under the store of one of four hosts, and looks for it on the console's page as an
 * engineer does: the page must name the host and the hop. Measures how long that takes from opening the page.
 *
 * `npm run bench -- console-fault [--runs N]`
 */
import { startBrowser } from "../test/console/world/browser.ts";
import { FaultyFleet } from "./console-fault/fleet.ts";
import { lookOnce } from "./console-fault/look.ts";
import { benchmark } from "./lib/benchmark.ts";

/** Between opening the page and the answer. */
const MOST_MS = 60_000;
/** Of a commit, from the injection on. */
const DELAY_MS = 120;

await benchmark(
  {
    name: "console-fault",
    title: "A slow disk on one host, found on the console's page",
    defaultRuns: 5,
    targets: { answer: { p99: MOST_MS }, confirmed: { p99: MOST_MS } },
  },
  async (run) => {
    const { report } = run;
    await using fleet = await FaultyFleet.open(run);
    report.vmm = await fleet.vmm();
    const host = fleet.victim;
    await fleet.startAll(run, "starts before");
    fleet.slowDown(DELAY_MS);
    await fleet.startAll(run, "starts with the slow disk");
    await run.progress.step("the console reads them", () => fleet.untilSeen(run.signal));
    const browser = await startBrowser();
    try {
      const looks = await run.repeat("looks at the page", run.runs, () => lookOnce(browser, fleet, host));
      report.add(
        "answer",
        "ms",
        looks.map(({ answerMs }) => answerMs),
      );
      report.add(
        "confirmed",
        "ms",
        looks.map(({ confirmedMs }) => confirmedMs),
      );
      const [look] = looks;
      if (look) report.note(`the page says: ${look.says}`);
      report.note(
        `${fleet.starts} starts; in the second half each commit on ${host} took ${DELAY_MS} ms more`,
      );
    } finally {
      await browser.close();
    }
  },
);
