import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import { ROOT } from "../../tools/lib/paths.ts";
import { SLOW_DISK, VERSIONS } from "./recording/facts.ts";
import { settled } from "./world/browser.ts";
import { useVisits } from "./world/visits.ts";
import type { World } from "./world/world.ts";

let world: World;
let page: Page;
const visits = useVisits(1_500);
const { parameter, matching, heat } = visits;
beforeAll(() => {
  world = visits.world;
});

async function open(more = ""): Promise<void> {
  page = await visits.open(more);
}

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
    const problems = visits.takeProblems();
    // What the console refuses, the browser reports.
    expect(problems.filter((problem) => !/status of 400|status of 431/.test(problem))).toEqual([]);
    await page.getByRole("link", { name: "Windhover" }).click();
    await settled(page);
    await page.getByRole("region", { name: "What was measured" }).or(heat()).first().waitFor();
    visits.takeProblems();
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
