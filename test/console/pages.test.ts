import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import { SLOW_DISK, VERSIONS } from "./recording/facts.ts";
import { cells } from "./world/browser.ts";
import { useVisits } from "./world/visits.ts";
import type { World } from "./world/world.ts";

let world: World;
let page: Page;
const visits = useVisits(1_500);
beforeAll(() => {
  world = visits.world;
});

async function open(more = ""): Promise<void> {
  page = await visits.open(more);
}

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
  page = await visits.show("/?since=1h&live=1");
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
