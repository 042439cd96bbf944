import type { Page } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import type { Overview } from "../../src/console/answers/overview.ts";
import { Geometry } from "../../src/console/web/heat/geometry.ts";
import type { Operation } from "../../src/lib/latency/operation.ts";
import { minutesBefore, SLOW_DISK } from "./recording/facts.ts";
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
    expect(visits.takeProblems().join()).toContain("404");
  });
});
