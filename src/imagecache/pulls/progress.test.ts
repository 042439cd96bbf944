import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Progress, ProgressMeter } from "./progress.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function start() {
  const reports: Progress[] = [];
  const meter = new ProgressMeter((progress) => reports.push(progress));
  return { meter, reports, figures: () => reports.map(({ phase, bytesDone }) => `${phase} ${bytesDone}`) };
}

test("a new phase is reported at once, and figures of one phase five times a second", () => {
  const { meter, figures } = start();

  meter.begin("downloading", 100, 2);
  for (let i = 0; i < 20; i++) {
    meter.advance(1);
    vi.advanceTimersByTime(50);
  }
  meter.advance(1);
  meter.begin("flattening");
  vi.advanceTimersByTime(1_000);

  const downloaded = [4, 8, 12, 16, 20].map((bytes) => `downloading ${bytes}`);
  expect(figures()).toEqual(["downloading 0", ...downloaded, "flattening 0"]);
});

test("the last figures before a pause are reported, and none after the end", () => {
  const { meter, figures } = start();
  meter.begin("downloading", 100, 2);
  meter.advance(1);
  meter.advance(1);
  vi.advanceTimersByTime(1_000);
  meter.advance(1);

  meter[Symbol.dispose]();
  vi.advanceTimersByTime(1_000);

  expect(figures()).toEqual(["downloading 0", "downloading 2"]);
});

test("a phase keeps the number of layers of the one before", () => {
  const { meter, reports } = start();

  meter.begin("downloading", 100, 2);
  meter.advance(50, 1);
  meter.begin("squashing", 300);

  expect(reports.at(-1)).toMatchObject({
    phase: "squashing",
    bytesTotal: 300,
    layersDone: 0,
    layersTotal: 2,
  });
});
