import type { Browser, Page } from "playwright-core";
import { openPage, settled } from "../../test/console/world/browser.ts";
import type { World } from "../../test/console/world/world.ts";

/** Times of one visit in milliseconds. */
interface Visit {
  /** First contentful paint, counted from the navigation. */
  readonly paintMs: number;
  /** Until the panels are drawn. */
  readonly panelsMs: number;
  /** From a click to the panels of the filtered view. */
  readonly filtersMs: readonly number[];
  /** From a click to the spans of a trace. */
  readonly waterfallMs: number;
}

/** What is clicked on, one after the other. Each adds to the filter, or takes all of it away. */
const CLEAR = ".chips > li:last-child button";
const CLICKS = [
  '[aria-label="Start paths"] button',
  '[aria-label="Hosts by deviation"] tbody button',
  CLEAR,
  '[aria-label="Hops by contribution"] tbody button',
  CLEAR,
  ".differences button",
  CLEAR,
];

/** Notes what the browser paints and draws, from the navigation on. */
const WATCH = `
  globalThis.seen = { paintMs: 0, panelsMs: 0 };
  new PerformanceObserver((list) => {
    for (const { name, startTime } of list.getEntries()) if (name === "first-contentful-paint") seen.paintMs = startTime;
  }).observe({ type: "paint", buffered: true });
  const look = () => {
    if (document.querySelector(".overview:not(.skeleton)") === null) requestAnimationFrame(look);
    else requestAnimationFrame(() => setTimeout(() => { seen.panelsMs = performance.now(); }));
  };
  requestAnimationFrame(look);
`;

/** Opens the page as a user does who was there before, filters, and opens a trace. */
export async function useOnce(browser: Browser, world: World): Promise<Visit> {
  const { page } = await openPage(browser, world, "/?view=compare");
  try {
    await page.addInitScript(WATCH);
    await page.goto(`${new URL(page.url()).origin}/?${world.hour}`);
    await settled(page);
    const first = await page.evaluate<Pick<Visit, "paintMs" | "panelsMs">>("globalThis.seen");
    const filtersMs: number[] = [];
    for (const selector of CLICKS) {
      filtersMs.push(await clicked(page, selector, DRAWN));
      await settled(page);
    }
    const waterfallMs = await clicked(
      page,
      '[aria-label="Slowest starts"] a',
      `document.querySelector('[role="tree"]') !== null`,
    );
    return { ...first, filtersMs, waterfallMs };
  } finally {
    await page.context().close();
  }
}

/** The panels were out of date and are not any more. */
const DRAWN = `(wasBusy ||= document.querySelector("[aria-busy=true]") !== null) && document.querySelector("[aria-busy=true]") === null`;

/** Clicks. Returns after how many milliseconds the frame was drawn in which `isThere`. */
function clicked(page: Page, selector: string, isThere: string): Promise<number> {
  return page.evaluate<number>(`new Promise((resolve) => {
    const from = performance.now();
    let wasBusy = false;
    const look = () => {
      if (${isThere}) requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - from)));
      else requestAnimationFrame(look);
    };
    document.querySelector(${JSON.stringify(selector)}).click();
    look();
  })`);
}
