import type { Browser } from "playwright-core";
import { openPage, settled } from "../../test/console/world/browser.ts";

/** What the page must name: the hop of a slow disk. */
const HOP = "store";
const LIMIT_MS = 60_000;

/** A look at the page. Times are in milliseconds, from opening it. */
interface Look {
  /** Until the first sentences name host and hop. */
  readonly answerMs: number;
  /** Until a single slow start has shown the same. */
  readonly confirmedMs: number;
  /** The sentences. */
  readonly says: string;
}

/**
 * Opens the page without a hint, reads what it says, and follows that to a single start.
 *
 * @param host that is at fault
 * @throws Error when the page names another cause, or none
 */
export async function lookOnce(
  browser: Browser,
  console: { link(view: string): Promise<string> },
  host: string,
): Promise<Look> {
  const begunMs = performance.now();
  const { page, problems } = await openPage(browser, console, "/");
  page.setDefaultTimeout(LIMIT_MS);
  try {
    await settled(page);
    const answer = page.getByRole("region", { name: "Answer" });
    const named = answer.getByRole("button", { name: `host ${host}`, exact: true });
    await named.waitFor();
    const says = ((await answer.locator(".why").textContent()) ?? "").replaceAll(/\s+/g, " ");
    const answerMs = performance.now() - begunMs;
    if (!says.includes(` in ${HOP}`)) throw new Error(`the page does not name the ${HOP}: ${says}`);

    await named.click();
    await settled(page);
    await page.getByRole("table", { name: "Slowest starts" }).getByRole("link").first().click();
    const trace = page.getByRole("dialog", { name: /^Trace/ });
    await trace.getByRole("tree").waitFor();
    const summary = (await trace.getByRole("region", { name: "Summary" }).textContent()) ?? "";
    const confirmedMs = performance.now() - begunMs;
    if (!summary.includes(`${HOP} dominates`))
      throw new Error(`the slowest start of ${host} says otherwise: ${summary}`);
    if (problems.length > 0) throw new Error(`the page reports ${problems.join("; ")}`);
    return { answerMs, confirmedMs, says };
  } finally {
    await page.context().close();
  }
}
