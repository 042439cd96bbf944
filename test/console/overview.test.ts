import type { Page } from "playwright-core";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Operation } from "../../src/lib/latency/operation.ts";
import { FAILING, SLOW_DISK, VERSIONS } from "./recording/facts.ts";
import { cells, settled, showTable } from "./world/browser.ts";
import { useVisits } from "./world/visits.ts";
import type { World } from "./world/world.ts";

let world: World;
let page: Page;
let starts: readonly Operation[];
let good: readonly Operation[];

const visits = useVisits(1_500);
beforeAll(() => {
  world = visits.world;
  starts = world.operations();
  good = starts.filter(({ reason }) => reason === "");
});
beforeEach(async () => {
  page = await visits.open();
});

const panel = (name: string) => page.getByRole("region", { name, exact: true });

/** The smallest duration that so many of a hundred have at most. */
function percentile(of: readonly Operation[], share: number): number {
  const sorted = of.map(({ durationUs }) => durationUs).sort((a, b) => a - b);
  return sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
}

/** As the page shows milliseconds. */
function ms(us: number): string {
  const value = us / 1_000;
  return value >= 999.5
    ? `${(value / 1_000).toFixed(2)} s`
    : `${value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0)} ms`;
}

function count(of: readonly Operation[], matches: (operation: Operation) => boolean): string {
  return of.filter(matches).length.toLocaleString("en-US");
}

test("the headline says how fast starts are, and names the host and the hop that make slow ones slow", async () => {
  const text = await panel("Answer").innerText();

  expect(text).toContain(`take up to ${ms(percentile(good, 0.5))}`);
  expect(text).toContain(`more than ${ms(percentile(good, 0.99))}`);
  expect(text).toMatch(new RegExp(`host ${SLOW_DISK.host} has \\d`));
  expect(text).toMatch(/The slow ones spend \d.* in (?:disk swap|guest boot)/);
});

test("objectives count those within their target, starts and creates apart", async () => {
  const text = await panel("Objectives").innerText();
  const warm = starts.filter(({ path }) => path === "warm");
  const [, target = ""] = /warm ≤ (\d+) ms/.exec(text) ?? [];
  const within = warm.filter(
    ({ reason, durationUs }) => reason === "" && durationUs <= Number(target) * 1_000,
  );

  expect(text).toContain(`${((100 * within.length) / warm.length).toFixed(1)} %`);
  expect(text).toMatch(/all creates ≤ 30 s/);
  expect(text).toMatch(/budget −?[\d,]+(?: %|×)\s+burn [\d.]+×/);
});

test("the heat map has every start, failures in a band of their own, and marks", async () => {
  await expect
    .poll(() =>
      panel("Duration over time")
        .locator(".marks text")
        .evaluateAll((all) =>
          all.map((each: { lastChild: { textContent: string } }) => each.lastChild.textContent),
        ),
    )
    .toEqual(["◆ shared-1x-256", `▲ ${VERSIONS.after}`, "◆ shared-1x-256"]);
  await showTable(page, "Duration over time");
  const rows = await cells(page, "Operations over time");
  const sum = (column: number) =>
    rows.reduce((total, row) => total + Number(row[column]?.replace(",", "")), 0);

  expect([sum(1), sum(3)]).toEqual([good.length, starts.length - good.length]);
  await showTable(page, "Duration over time");
});

test("percentiles are exact, with the number of samples", async () => {
  const note = await panel("Percentiles").locator(".note").innerText();
  await showTable(page, "Percentiles");
  const rows = await cells(page, "Percentiles over time");

  for (const share of [0.5, 0.9, 0.99]) expect(note).toContain(ms(percentile(good, share)));
  expect(note).toContain(`n ${good.length.toLocaleString("en-US")}`);
  expect(rows.reduce((total, row) => total + Number(row[1]), 0)).toBe(good.length);
  await showTable(page, "Percentiles");
});

describe("where the time goes", () => {
  test("the league has each hop's share and its change with the version", async () => {
    const rows = await cells(page, "Hops by contribution");
    const total = good.reduce((sum, { durationUs }) => sum + durationUs, 0);
    const share = (hop: string) => (100 * good.reduce((sum, { hops }) => sum + (hops[hop] ?? 0), 0)) / total;
    const row = (hop: string) => rows.find(([name]) => name === hop) ?? [];

    expect(row("guest exec")[1]).toBe(`${share("guest exec").toFixed(1)} %`);
    // Slower by a quarter, and the fifth part of machines without: the new version's own.
    expect(row("guest exec")[6]).toMatch(/^▲ \+\d\d %$/);
    expect(row(SLOW_DISK.hop)[6]).toMatch(/^▲ (\+\d{3} %|×)/);
    expect(row("unexplained")).not.toEqual([]);
  });

  test("bars show the critical path at p50, p90 and p99, whose parts add up", async () => {
    await showTable(page, "Where a start's time goes");
    const rows = await cells(page, "Critical path by hop");

    expect(rows.map(([hop]) => hop)).toContain("unexplained");
    expect(rows.find(([hop]) => hop === "guest boot")?.[3]).toMatch(/ms$/);
    await showTable(page, "Where a start's time goes");
  });
});

test("start paths have their share, and why no faster one was taken", async () => {
  const rows = await cells(page, "Start paths");
  const row = rows.find(([path]) => path === "template") ?? [];
  const templates = good.filter(({ path }) => path === "template");

  expect(row[3]).toBe(count(good, ({ path }) => path === "template"));
  expect(row[6]).toContain(`pool empty ${count(templates, ({ notFaster }) => notFaster === "pool_empty")}`);
});

test("the warm pool has hits and misses, and runs dry in the burst", async () => {
  const misses = count(starts, ({ path, notFaster }) => path !== "warm" && notFaster.startsWith("pool"));

  expect(await panel("Warm pool").locator(".note").innerText()).toContain(`${misses} misses`);
  await showTable(page, "Warm pool");
  const rows = await cells(page, "Warm pool over time");
  expect(Math.min(...rows.map((row) => Number(row[1])))).toBeLessThan(0.5);
});

test("the start queue is as long as starts found it", async () => {
  const most = Math.max(...starts.map(({ queueLength }) => queueLength));

  expect(await panel("Start queue").locator(".note").innerText()).toContain(`at most ${most}`);
});

test("the host with the slow disk is the first, called out, with the hop that is to blame", async () => {
  const [first = [], ...others] = await cells(page, "Hosts by deviation");

  expect(first[0]).toBe(SLOW_DISK.host);
  expect(first[1]).toMatch(/^▲ \+/);
  expect(first.some((cell) => /ms \d+(\.\d)?×|>99×/.test(cell))).toBe(true);
  expect(others.filter(([, deviation]) => deviation?.startsWith("▲"))).toEqual([]);
});

test("durations are shown by how many operations were under way", async () => {
  await showTable(page, "Duration against concurrency");
  const rows = await cells(page, "Duration against concurrency");

  expect(rows[0]?.slice(0, 2)).toEqual(["0", count(good, ({ concurrency }) => concurrency === 0)]);
  await showTable(page, "Duration against concurrency");
});

test("the slowest start is the first of the slowest, the latest failure the first of the failures", async () => {
  const [slowest = []] = await cells(page, "Slowest starts");
  const [failed = []] = await cells(page, "Failed starts");
  const latest = starts.findLast(({ reason }) => reason !== "");

  expect(slowest[0]).toBe(ms(Math.max(...starts.map(({ durationUs }) => durationUs))));
  expect(failed.slice(0, 2)).toEqual([latest?.reason, ms(latest?.durationUs ?? 0)]);
  const reasons = (await cells(page, "Failed starts")).map(([reason]) => reason);
  expect(reasons.filter((reason) => reason === FAILING.reason).length).toBeGreaterThan(reasons.length / 2);
});

test("the cost of looking is told", async () => {
  expect(await panel("Cost of looking").innerText()).toMatch(
    /Dropped spans\s+0 every trace is whole[\s\S]*Export lag\s+\d/,
  );
});

test.each([
  ["create", "Where a create's time goes, by step", ["preflight", "pull", "auction"]],
  ["wake", "Where a wake's time goes: queue, start, readiness, application", ["readiness", "application"]],
  ["stop", "Where a stop's time goes", ["grace", "tear down"]],
])("a %s is taken apart by its own steps", async (kind, title, steps) => {
  await page
    .getByRole("navigation", { name: "What is measured" })
    .getByRole("link", { name: `${kind}s` })
    .click();
  await panel(title).waitFor();
  await settled(page);
  const hops = (await cells(page, "Hops by contribution")).map(([hop]) => hop);

  expect(hops).toEqual(expect.arrayContaining(steps));
  expect(await panel("Answer").innerText()).toContain(`Half of all ${kind}s`);
});
