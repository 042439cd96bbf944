import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { type OpenedPage, openPage, settled, startBrowser } from "./browser.ts";
import { startWorld, type World } from "./world.ts";

/**
 * A browser and a console over so many recorded traces, for the tests of one file. After each test
 * its page is closed; what it has reported by then fails the test.
 */
export function useVisits(traces: number) {
  let browser: Browser | undefined;
  let opened: OpenedPage | undefined;
  const page = (): Page => {
    if (!opened) throw new Error("no page is open");
    return opened.page;
  };
  const visits = {
    // Set before any test runs.
    world: undefined as unknown as World,

    /** Opens a view by its URL, and waits until it is drawn. */
    async show(view: string): Promise<Page> {
      if (!browser) throw new Error("the browser has not started");
      opened = await openPage(browser, visits.world, view);
      await settled(opened.page);
      return opened.page;
    },

    /** Opens the overview of the recorded hour, with more parameters. */
    open: (more = "") => visits.show(`/?${visits.world.hour}${more}`),

    /** Takes what the page has reported, for a test that expects it to. */
    takeProblems: (): readonly string[] => opened?.problems.splice(0) ?? [],

    /** The value of a parameter of the page's URL. */
    parameter: (name: string) => new URL(page().url()).searchParams.get(name),

    /** How many operations the page says that match. */
    matching: async () => Number((await page().locator(".matching b").innerText()).replaceAll(",", "")),

    heat: () => page().getByRole("application", { name: /^Heat map/ }),
  };
  beforeAll(async () => {
    [visits.world, browser] = await Promise.all([startWorld(traces), startBrowser()]);
  });
  afterEach(async () => {
    const problems = opened?.problems;
    await opened?.page.context().close();
    opened = undefined;
    expect(problems).toEqual([]);
  });
  afterAll(async () => {
    await browser?.close();
    await visits.world?.close();
  });
  return visits;
}
