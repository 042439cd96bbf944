import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectAccessible, openPage, settled, startBrowser } from "./world/browser.ts";
import { startWorld, type World } from "./world/world.ts";

let world: World;
let browser: Browser;

beforeAll(async () => {
  [world, browser] = await Promise.all([startWorld(600), startBrowser()]);
});
afterAll(async () => {
  await browser?.close();
  await world?.close();
});

/** Opens a view, runs `check` on it, and expects that nothing was reported. */
async function on(
  view: string,
  options: Parameters<typeof openPage>[3],
  check: (page: Page) => Promise<void>,
): Promise<void> {
  const { page, problems } = await openPage(browser, world, view, options);
  await settled(page);
  await check(page);
  expect(problems).toEqual([]);
  await page.context().close();
}

const slowest = () => [...world.operations()].sort((a, b) => b.durationUs - a.durationUs)[0]?.traceId;

describe.each(["light", "dark"] as const)("in the %s theme", (colorScheme) => {
  test.each([
    ["the overview", () => ""],
    ["a waterfall", () => `&trace=${slowest()}`],
    ["the flame graph", () => "&view=flame"],
    [
      "a comparison",
      () =>
        `&view=compare&a=${encodeURIComponent(`${world.hour}&host=ord-1`)}&b=${encodeURIComponent(`${world.hour}&host=ord-3`)}`,
    ],
    ["live", () => "&live=1"],
  ])("%s is accessible", async (_name, more) => {
    await on(`/?${world.hour}${more()}`, { colorScheme }, async (page) => {
      if (more().includes("trace=")) await page.getByRole("tree").waitFor();
      await expectAccessible(page);
    });
  });
});

test("the switch of colours overrules the system, and is remembered", async () => {
  await on(`/?${world.hour}`, { colorScheme: "light" }, async (page) => {
    const theme = () => page.locator("html").getAttribute("data-theme");
    const press = () => page.getByRole("button", { name: /^Colours/ }).click();
    expect(await theme()).toBe("light");
    await press();
    await press();
    expect(await theme()).toBe("dark");
    await page.reload();
    expect(await theme()).toBe("dark");
  });
});

test.each([1_000, 1_440, 3_840])("nothing is cut off at %i px", async (width) => {
  await on(`/?${world.hour}&host=ord-3&path=warm`, { viewport: { width, height: 900 } }, async (page) => {
    expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBeLessThanOrEqual(0);
  });
});

test("nothing moves while the page loads", async () => {
  await on(`/?${world.hour}`, {}, async (page) => {
    const shift = await page.evaluate<number>(`new Promise((resolve) => {
      let sum = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) sum += entry.value;
      }).observe({ type: "layout-shift", buffered: true });
      requestAnimationFrame(() => requestAnimationFrame(() => resolve(sum)));
    })`);
    expect(shift).toBeLessThan(0.02);
  });
});

test("nothing but the console's own files is loaded, and no script or style of anybody else could be", async () => {
  const { page } = await openPage(browser, world, "/");
  const policy = (await page.goto(await world.link("/")))?.headers()["content-security-policy"] ?? "";
  await settled(page);
  const hosts = await page.evaluate<string[]>(
    "performance.getEntriesByType('resource').map(({ name }) => new URL(name).host)",
  );

  expect(new Set(hosts)).toEqual(new Set([new URL(page.url()).host]));
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toContain("unsafe");
  await page.context().close();
});

describe("little, or what is odd, is drawn too", () => {
  const failed = () =>
    encodeURIComponent(world.operations().find(({ reason }) => reason !== "")?.reason ?? "");
  const one = () => {
    const { durationUs, startUs } = world.operations().find(({ reason }) => reason === "") ?? {};
    return `&min=${durationUs}us&max=${durationUs}us&box=${Math.floor((startUs ?? 0) / 1_000)},${Math.floor((startUs ?? 0) / 1_000) + 1},1,${(durationUs ?? 0) + 1}`;
  };
  const none = () => encodeURIComponent(`${world.hour}&host=nowhere`);
  test.each([
    ["failures alone", () => `&reason=${failed()}`],
    ["the flame graph of failures alone", () => `&view=flame&reason=${failed()}`],
    ["the flame graph of nothing", () => "&view=flame&host=nowhere"],
    ["a single start", one],
    ["a comparison with nothing", () => `&view=compare&a=${encodeURIComponent(world.hour)}&b=${none()}`],
    ["a comparison of nothing with nothing", () => `&view=compare&a=${none()}&b=${none()}`],
    ["stops", () => "&kind=stop"],
    ["suspends, of which there may be none", () => "&kind=suspend"],
    ["all kinds, in the flame graph", () => "&kind=all&view=flame"],
  ])("%s", async (_name, more) => {
    await on(`/?${world.hour}${more()}`, {}, async (page) => {
      expect(await page.locator("main").innerText()).not.toMatch(/NaN|Infinity|undefined|null/);
    });
  });

  test.each(["America/St_Johns", "Pacific/Apia", "Europe/Berlin"])(
    "a week by the clocks of %s",
    async (zone) => {
      const view = `/?since=${world.endMs - 7 * 86_400_000}&until=${world.endMs}`;
      await on(view, { timezoneId: zone }, async (page) => {
        const local = new Intl.DateTimeFormat("en-GB", { timeZone: zone, day: "numeric", month: "short" });
        expect(await page.locator(".custom").innerText()).toContain(local.format(world.endMs));
      });
    },
  );
});

describe("when there is nothing to show, the next step is named", () => {
  test("after the session is over", async () => {
    const { page } = await openPage(browser, world, `/?${world.hour}`);
    await settled(page);
    await page.context().clearCookies();
    await page.getByRole("button", { name: "Load again" }).click();
    await page.getByRole("heading", { name: "The session is over" }).waitFor();

    expect(await page.getByRole("alert").innerText()).toContain("hover console");
    await page.context().close();
  });

  test("where no operation matches", async () => {
    await on(`/?${world.hour}&host=nowhere`, {}, async (page) => {
      await page.getByRole("button", { name: "Clear the filters" }).click();
      await page.getByRole("region", { name: "Answer" }).waitFor();
    });
  });

  test("in a period without any", async () => {
    await on(`/?since=${world.endMs - 9_000_000}&until=${world.endMs - 8_000_000}`, {}, async (page) => {
      expect(await page.locator("main").innerText()).toContain("hover machine start ID");
    });
  });

  test("for a view that makes no sense", async () => {
    const { page } = await openPage(browser, world, "/?since=yesterday");

    expect(await page.getByRole("alert").innerText()).toMatch(/since must be[\s\S]*Begin anew/);
    await page.context().close();
  });

  test("while the console does not answer", async () => {
    await using ended = await startWorld(50);
    const { page } = await openPage(browser, ended, `/?${ended.hour}`);
    await settled(page);
    await ended.stop();
    await page.getByRole("button", { name: "Load again" }).click();
    await page.getByRole("heading", { name: "The console does not answer" }).waitFor();

    expect(await page.getByRole("alert").innerText()).toContain("hover doctor");
    await page.context().close();
  });
});
