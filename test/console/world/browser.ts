import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { expect } from "vitest";
import { program } from "../../../tools/lib/programs.ts";
import type { World } from "./world.ts";

/** Starts Debian's Chromium. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: program("chromium"),
    // Its sandbox does not run as root; the page is our own.
    args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
  });
}

/** A page of a user of its own, and what went wrong on it. */
export interface OpenedPage {
  readonly page: Page;
  /** Errors on the console, violations of the policy, exceptions. */
  readonly problems: string[];
}

/** Opens a view by a link of its own, and waits until it is drawn. */
export async function openPage(
  browser: Browser,
  world: Pick<World, "link">,
  view: string,
  options: BrowserContextOptions = {},
): Promise<OpenedPage> {
  const context = await browser.newContext({
    ...{
      viewport: { width: 1_440, height: 900 },
      timezoneId: "UTC",
      locale: "en-GB",
      reducedMotion: "reduce",
    },
    permissions: ["clipboard-read", "clipboard-write"],
    ...options,
  });
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) problems.push(message.text());
  });
  page.on("pageerror", (error) => problems.push(String(error.stack)));
  await page.goto(await world.link(view));
  return { page, problems };
}

/** Waits until all answers are here and drawn. */
export async function settled(page: Page): Promise<void> {
  // No functions that are waited for in the page: its policy lets nobody evaluate texts.
  const view = page.locator("main .overview, main .compare, main .flame-page, main .trouble");
  await view.first().waitFor({ state: "attached" });
  await page.locator(".skeleton, [aria-busy=true]").first().waitFor({ state: "detached" });
  await page.waitForLoadState("networkidle");
}

/** Text of all cells of a table, row by row, the heads left out. */
export async function cells(page: Page, table: string): Promise<string[][]> {
  const rows = page.getByRole("table", { name: table, exact: true }).locator("tbody tr");
  await rows.first().waitFor();
  return rows.evaluateAll((all) =>
    all.map((row: { children: Iterable<{ textContent: string }> }) =>
      Array.from(row.children, (cell) => cell.textContent.trim()),
    ),
  );
}

/** Shows a panel's table instead of its chart. */
export async function showTable(page: Page, panel: string): Promise<void> {
  await page.getByRole("button", { name: `${panel} as a table`, exact: true }).click();
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

interface AxeResult {
  readonly violations: readonly {
    readonly id: string;
    readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
  }[];
}

/** Expects that axe finds nothing to mend for people who use keyboards, screen readers or magnifiers. */
export async function expectAccessible(page: Page): Promise<void> {
  // Through the debugger: the page's policy lets no script in.
  await page.evaluate(axe);
  const { violations } = await page.evaluate<AxeResult>("axe.run(document, { resultTypes: ['violations'] })");
  expect(
    violations.map(({ id, nodes }) => [
      id,
      nodes.slice(0, 3).map(({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary}`),
    ]),
  ).toEqual([]);
}
