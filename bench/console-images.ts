/** Writes the pictures of the console in `docs/images`: `npm run bench -- console-images`. Look at them. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { minutesBefore, SLOW_DISK } from "../test/console/recording/facts.ts";
import { openPage, settled, startBrowser } from "../test/console/world/browser.ts";
import { startWorld, type World } from "../test/console/world/world.ts";
import { ROOT } from "../tools/lib/paths.ts";

interface Picture {
  readonly name: string;
  readonly theme: "light" | "dark";
  readonly height: number;
  view(world: World): string;
  /** What is done before the picture is taken. */
  prepare?(page: Page): Promise<void>;
}

const TRACES = 6_000;
const folder = join(ROOT, "docs/images");

const boxOf = ({ endMs }: World) =>
  [minutesBefore(endMs, 19), minutesBefore(endMs, 1), 215_000, 700_000].join();
const setOf = ({ hour }: World, host: string) => encodeURIComponent(`${hour}&path=warm&host=${host}`);
const slowest = (world: World) =>
  world
    .operations("start")
    .filter(({ host, path, reason }) => host === SLOW_DISK.host && path === "warm" && reason === "")
    .toSorted((a, b) => b.durationUs - a.durationUs)[5]?.traceId ?? "";

const PICTURES: readonly Picture[] = [
  { name: "overview", theme: "light", height: 672, view: ({ hour }) => `/?${hour}` },
  { name: "overview-dark", theme: "dark", height: 672, view: ({ hour }) => `/?${hour}` },
  { name: "box", theme: "light", height: 640, view: (world) => `/?${world.hour}&box=${boxOf(world)}` },
  {
    ...{ name: "waterfall", theme: "light", height: 760 },
    view: (world) => `/?${world.hour}&trace=${slowest(world)}`,
    prepare: (page) => page.getByRole("tree").waitFor(),
  },
  {
    ...{ name: "compare-dark", theme: "dark", height: 640 },
    view: (world) =>
      `/?${world.hour}&view=compare&a=${setOf(world, "ord-1")}&b=${setOf(world, SLOW_DISK.host)}`,
    prepare: (page) => page.getByRole("region", { name: "Verdict" }).waitFor(),
  },
];

mkdirSync(folder, { recursive: true });
const [world, browser] = await Promise.all([startWorld(TRACES), startBrowser()]);
try {
  for (const { name, theme, height, view, prepare } of PICTURES) {
    const options = { colorScheme: theme, viewport: { width: 1_440, height } };
    const { page } = await openPage(browser, world, view(world), options);
    await settled(page);
    await prepare?.(page);
    await page.evaluate(
      "new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))",
    );
    await page.screenshot({ path: join(folder, `console-${name}.png`) });
    await page.context().close();
  }
} finally {
  await browser.close();
  await world.close();
}
