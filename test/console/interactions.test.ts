import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Overview } from "../../src/console/answers/overview.ts";
import { Geometry } from "../../src/console/web/heat/geometry.ts";
import type { Operation } from "../../src/lib/latency/operation.ts";
import { ROOT } from "../../tools/lib/paths.ts";
import { minutesBefore, SLOW_DISK, VERSIONS } from "./recording/facts.ts";
import { cells, type OpenedPage, openPage, settled, startBrowser } from "./world/browser.ts";
import { startWorld, type World } from "./world/world.ts";

let world: World;
let browser: Browser;
let opened: OpenedPage | undefined;
let page: Page;

beforeAll(async () => {
  [world, browser] = await Promise.all([startWorld(1_500), startBrowser()]);
});
afterEach(async () => {
  const problems = opened?.problems;
  await opened?.page.context().close();
  opened = undefined;
  expect(problems).toEqual([]);
});
afterAll(async () => {
  await browser?.close();
  await world?.close();
});

async function open(more = ""): Promise<void> {
  opened = await openPage(browser, world, `/?${world.hour}${more}`);
  page = opened.page;
  await settled(page);
}

const parameter = (name: string) => new URL(page.url()).searchParams.get(name);
const matching = async () => Number((await page.locator(".matching b").innerText()).replaceAll(",", ""));
const heat = () => page.getByRole("application", { name: /^Heat map/ });

/** Where the page has drawn what the console answers. */
async function geometry(): Promise<{ readonly of: Geometry; readonly x: number; readonly y: number }> {
  const answer = await page.request.get(page.url().replace("/?", "/api/overview?"));
  const { heat: map } = (await answer.json()) as Overview;
  const box = await heat().boundingBox();
  if (!box) throw new Error("the heat map is not there");
  return { of: new Geometry(box.width, box.height, map), x: box.x, y: box.y };
}

describe("a box on the heat map", () => {
  test("drawn with the mouse filters the page, and the host of the slow disk is what differs most", async () => {
    await open();
    const { of, x, y } = await geometry();
    await page.mouse.move(x + of.xOf(minutesBefore(world.endMs, 19)), y + of.yOf(900_000));
    await page.mouse.down();
    await page.mouse.move(x + of.xOf(minutesBefore(world.endMs, 1)), y + of.yOf(230_000), { steps: 4 });
    await page.mouse.up();
    await page.waitForURL(/[?&]box=/);
    await settled(page);
    const [from = 0, until = 0, least = 0, most = 0] = (parameter("box") ?? "").split(",").map(Number);
    const isIn = ({ startUs, durationUs }: Operation) =>
      startUs / 1_000 >= from && startUs / 1_000 < until && durationUs >= least && durationUs < most;

    expect(await matching()).toBe(world.operations().filter(isIn).length);
    const differences = await page
      .getByRole("region", { name: "What differs in the box" })
      .getByRole("listitem")
      .allInnerTexts();
    expect(differences.slice(0, 3).join()).toContain(`host ${SLOW_DISK.host}`);

    await page.getByRole("button", { name: "Clear box" }).click();
    expect(parameter("box")).toBeNull();
  });

  test("can be drawn with keys, which say where they are", async () => {
    await open();
    await heat().focus();
    for (const key of ["ArrowRight", "ArrowUp", "Shift+ArrowLeft", "Shift+ArrowUp", "Shift+ArrowUp"])
      await page.keyboard.press(key);
    await expect
      .poll(() => page.locator("p[aria-live]").last().innerText())
      .toMatch(/\d\d:\d\d.* to .*, [\d.]+ ms to [\d.]+ ms/);
    await page.keyboard.press("Enter");
    await page.waitForURL(/[?&]box=/);
    await settled(page);
    expect(await matching()).toBeLessThan(world.operations().length);

    await heat().focus();
    await page.keyboard.press("Escape");
    expect(parameter("box")).toBeNull();
  });

  test("becomes period and durations with Zoom in", async () => {
    const [from, until] = [minutesBefore(world.endMs, 15), minutesBefore(world.endMs, 5)];
    await open(`&box=${from},${until},200000,900000`);
    await page.getByRole("button", { name: "Zoom in" }).click();

    expect([parameter("box"), parameter("min"), parameter("max")]).toEqual([null, "200000us", "900000us"]);
    expect(Date.parse(parameter("since") ?? "")).toBe(from);
  });
});

describe("a point", () => {
  test("opens its waterfall: critical path, a typical one's shadow, details, commands", async () => {
    await open(`&host=${SLOW_DISK.host}&path=warm`);
    const slow = world
      .operations()
      .filter(({ host, path, reason }) => host === SLOW_DISK.host && path === "warm" && reason === "")
      .sort((a, b) => b.durationUs - a.durationUs)[0];
    const { of, x, y } = await geometry();
    await page.mouse.click(x + of.xOf((slow?.startUs ?? 0) / 1_000), y + of.yOf(slow?.durationUs ?? 0));
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("tree").waitFor();

    expect(parameter("trace")).toBe(slow?.traceId);
    expect(await dialog.getByRole("region", { name: "Summary" }).innerText()).toMatch(
      /disk swap dominates with \d+ ms, typically [\d.]+ ms/,
    );
    const swap = dialog.getByRole("treeitem", { name: /^vmm\.swap/ });
    expect(await swap.textContent()).toMatch(/typically .* on the critical path/);
    expect(await swap.locator(".typical").count()).toBe(1);
    await swap.click();
    await dialog.getByText("own time on the critical path").waitFor();
    const commands = await dialog.getByRole("region", { name: "Commands" }).innerText();
    expect(commands).toContain(`hover trace ${slow?.traceId}`);
    expect(commands).toContain(`hover machine events ${slow?.machineId}`);
    expect(commands).toContain(`hover machine logs ${slow?.machineId}`);
    await page.keyboard.press("Escape");
    expect(parameter("trace")).toBeNull();
  });

  test("can be chosen from the list of its cell, by keyboard alone", async () => {
    await open();
    await heat().focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Enter");
    const list = page.getByRole("dialog", { name: "starts of the cell" });
    await list.getByRole("button", { name: / ms/ }).first().focus();
    await page.keyboard.press("Enter");
    await page
      .getByRole("dialog", { name: /^Trace/ })
      .getByRole("tree")
      .waitFor();

    expect(parameter("trace")).toMatch(/^[0-9a-f]{32}$/);
  });

  test("of a trace that is gone says so", async () => {
    await open();
    await page.goto(`${new URL(page.url()).origin}/?${world.hour}&trace=${"0".repeat(32)}`);
    await page.getByRole("alert").getByText("Traces are kept as long as there is room").waitFor();
    // The browser reports the refused request.
    expect(opened?.problems.splice(0).join()).toContain("404");
  });
});

describe("a URL that nobody meant", () => {
  test.each([
    ["a period that is none", "since=yesterday&view=compare"],
    ["a period that ends before it begins", "since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z"],
    ["times beyond those of a clock", "since=9999999999999999&until=99999999999999999&view=compare"],
    ["a box beyond those", "since=1h&box=1e300,2e300,1,2"],
    [
      "conditions of markup",
      "since=1h&host=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E&app=%F0%9F%A6%85%E2%80%AE",
    ],
    ["broken escapes", "since=1h&host=%E0%A4%A&a=%ff&b=%%%&view=compare"],
    ["sets that are none", "view=compare&a=since%3Dnever&b=box%3D1e300"],
    ["a value that is too long", `since=1h&host=${"x".repeat(2_000)}`],
    ["more values than there may be", `since=1h&${"host=x&".repeat(40)}`],
  ])("with %s is answered by words, and the page goes on", async (_name, query) => {
    await open();
    await page.goto(`${new URL(page.url()).origin}/?${query}`);
    await settled(page);

    expect(await page.locator("main").innerText()).not.toBe("");
    const problems = opened?.problems.splice(0) ?? [];
    // What the console refuses, the browser reports.
    expect(problems.filter((problem) => !/status of 400|status of 431/.test(problem))).toEqual([]);
    await page.getByRole("link", { name: "Windhover" }).click();
    await settled(page);
    await page.getByRole("region", { name: "What was measured" }).or(heat()).first().waitFor();
    opened?.problems.splice(0);
  });

  test("of all kinds shows what hover latency --kind all counts", async () => {
    await open("&kind=all");

    expect(await matching()).toBe(world.recording.operations.length);
    expect(await page.getByRole("link", { name: "All", exact: true }).getAttribute("aria-current")).toBe(
      "true",
    );
  });
});

describe("filters", () => {
  test("are added, inverted and removed, and each is a URL to go back to", async () => {
    await open();
    await page.getByTitle("Add a filter").click();
    await page.getByRole("button", { name: "region", exact: true }).click();
    await page.getByRole("list", { name: "Values of region" }).getByRole("button", { name: /^gru/ }).click();
    await page.keyboard.press("Escape");
    await settled(page);
    const inRegion = world.operations().filter(({ region }) => region === "gru").length;
    expect(await matching()).toBe(inRegion);

    await page.getByRole("button", { name: "region is gru", exact: true }).click();
    await settled(page);
    expect(await matching()).toBe(world.operations().length - inRegion);

    await page.goBack();
    await settled(page);
    expect([parameter("region"), await matching()]).toEqual(["gru", inRegion]);
    await page.getByRole("button", { name: "Clear all" }).click();
    expect(parameter("region")).toBeNull();
  });

  test("come from the panels: a start path, a host, a hop", async () => {
    await open();
    await page.getByRole("list", { name: "Start paths" }).getByRole("button", { name: "template" }).click();
    await page
      .getByRole("table", { name: "Hosts by deviation" })
      .getByRole("button", { name: SLOW_DISK.host })
      .click();
    await page
      .getByRole("table", { name: "Hops by contribution" })
      .getByRole("button", { name: "restore" })
      .click();

    expect(["path", "host", "hop"].map(parameter)).toEqual(["template", SLOW_DISK.host, "restore"]);
  });

  test("have a command that does the same, with options that hover knows", async () => {
    await open(`&host=ord-3&host=!ord-1&version=${VERSIONS.after}&outcome=ok&min=20ms&kind=wake`);
    await page.getByRole("button", { name: "Copy the command for this view" }).click();
    const copied = await page.evaluate<string>("navigator.clipboard.readText()");
    const help = readFileSync(join(ROOT, "src/cli/help.txt"), "utf8").split("hover latency --help")[1] ?? "";

    expect(copied).toBe(
      `hover latency --kind wake --since ${world.endMs - 3_600_000} --until ${world.endMs} --host ord-3 --host '!ord-1' --hover-version ${VERSIONS.after} --outcome ok --min 20ms`,
    );
    for (const [option] of copied.matchAll(/--[\w-]+/g)) expect(help).toContain(`${option} <`);
  });
});

test("dragging over the percentiles shows that part of the period", async () => {
  await open();
  const box = await page.getByRole("img", { name: /^Percentiles over time/ }).boundingBox();
  if (!box) throw new Error("the percentiles are not there");
  await page.mouse.move(box.x + box.width * 0.5, box.y + 80);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.75, box.y + 90, { steps: 4 });
  await page.mouse.up();
  await settled(page);

  const span = Date.parse(parameter("until") ?? "") - Date.parse(parameter("since") ?? "");
  expect(span).toBeGreaterThan(10 * 60_000);
  expect(span).toBeLessThan(22 * 60_000);
});

describe("a comparison", () => {
  const verdict = () => page.getByRole("region", { name: "Verdict" }).innerText();

  test("of the host with the slow disk with all others says that it is slower, by how much, and where", async () => {
    await open("&view=compare");
    await page.getByLabel("A", { exact: true }).selectOption("ord-1");
    await page.getByLabel("B", { exact: true }).selectOption(SLOW_DISK.host);
    await page.getByRole("button", { name: "Compare", exact: true }).click();

    expect(await verdict()).toMatch(/^ord-3 is slower, by [\d.]+ ms[\s\S]*\(95 %\)[\s\S]*p < 0\.001/);
    expect((await cells(page, "Hops compared"))[0]?.[0]).toBe(SLOW_DISK.hop);
  });

  test("of two hosts alike says that there is no difference", async () => {
    const of = (host: string) => encodeURIComponent(`${world.hour}&path=warm&host=${host}`);
    await open(`&view=compare&a=${of("ord-1")}&b=${of("ord-2")}`);

    expect(await verdict()).toMatch(/^No difference that can be told from chance/);
  });

  test("of two versions, and of a period with the one before, are a click away", async () => {
    await open("&view=compare&path=warm&host=!ord-3");
    await page.getByRole("combobox", { name: "Attribute" }).selectOption("version");
    await page.getByLabel("A", { exact: true }).selectOption(VERSIONS.before);
    await page.getByLabel("B", { exact: true }).selectOption(VERSIONS.after);
    await page.getByRole("button", { name: "Compare", exact: true }).click();
    expect(await verdict()).toMatch(new RegExp(`^${VERSIONS.after} is slower`));

    await page.getByRole("button", { name: /with the same time before/ }).click();
    await expect.poll(verdict).toMatch(/^Too few to tell/);
  });
});

test("critical paths are merged into a flame graph that keys can widen", async () => {
  await open("&view=flame");
  const frame = page.getByRole("button", { name: /^vmm\.swap: / }).first();
  await frame.focus();
  await expect
    .poll(() => page.locator(".flame-details").innerText())
    .toMatch(/^vmm\.swap: [\d.]+ (?:ms|µs), [\d.]+ % of the mean/);
  const width = async () => (await frame.boundingBox())?.width ?? 0;
  const before = await width();
  await page.keyboard.press("Enter");
  await expect.poll(width).toBeGreaterThan(before * 2);
  await page.keyboard.press("Escape");
  await expect.poll(width).toBeLessThan(before * 1.1);
  await page.getByRole("button", { name: /as a table$/ }).click();

  expect((await cells(page, "Frames of the flame graph")).map(([name]) => name)).toContain("guest.exec");
});

test("live shows operations as they end, and waits while paused", async () => {
  opened = await openPage(browser, world, "/?since=1h&live=1");
  page = opened.page;
  await settled(page);
  const live = page.getByRole("complementary", { name: "Live starts" });
  await live.getByText("as they end").waitFor();
  const add = (...durationsUs: readonly number[]) => {
    const [base] = world.operations();
    if (!base) throw new Error("nothing is recorded");
    world.database.addOperations(
      durationsUs.map((durationUs) => {
        const id = durationUs.toString(16).padStart(16, "f");
        return { ...base, traceId: id + id, spanId: id, startUs: Date.now() * 1_000, durationUs, reason: "" };
      }),
    );
  };
  add(123_000);
  await live.getByRole("link", { name: "123 ms" }).waitFor();
  await live.getByRole("button", { name: "Pause" }).click();
  add(124_000);
  await live.getByRole("button", { name: "Go on (1 new)" }).click();
  await live.getByRole("link", { name: "124 ms" }).waitFor();

  expect(await live.getByRole("listitem").first().innerText()).toContain("124 ms");
  add(...Array.from({ length: 120 }, (_, i) => 200_000 + i));
  await live.getByText("20 of bursts are not listed").waitFor();
});

test("everything that matches can be taken along in four formats", async () => {
  await open(`&host=${SLOW_DISK.host}&outcome=failed`);
  const failed = world.operations().filter(({ host, reason }) => host === SLOW_DISK.host && reason !== "");
  const texts: Record<string, string> = {};
  for (const format of ["OTLP JSON", "JSON", "speedscope", "CSV"]) {
    await page.getByTitle("Export what is shown").click();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: new RegExp(`^${format} `) }).click(),
    ]);
    texts[format] = readFileSync(await download.path(), "utf8");
    await page.keyboard.press("Escape");
  }

  expect(texts["CSV"]?.trim().split("\n")).toHaveLength(failed.length + 1);
  for (const format of ["OTLP JSON", "JSON", "speedscope"]) expect(texts[format]).toMatch(/^[{[]/);
  for (const { traceId } of failed) expect(texts["OTLP JSON"]).toContain(traceId);
});
