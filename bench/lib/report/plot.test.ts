import { expect, test } from "vitest";
import { plot } from "./plot.ts";

const row = (name: string, p50: number, unit = "ms") => ({
  name,
  unit,
  n: 9,
  p50,
  p90: p50 * 1.2,
  p99: p50 * 1.5,
  max: p50 * 2,
});

test("the rows stand fastest first, and further right the longer they take", () => {
  const svg = plot("Start", "a machine", [row("cold", 2_800), row("warm", 42), row("memory", 30, "MB")]);
  const dots = [...svg.matchAll(/<circle cx="([\d.]+)"/g)].map((match) => Number(match[1]));
  expect(dots).toHaveLength(2);
  expect(dots[0]).toBeLessThan(dots[1] ?? 0);
  expect(svg.indexOf(">warm<")).toBeLessThan(svg.indexOf(">cold<"));
  expect(svg).not.toContain("memory");
});

test("equal factors are equal distances", () => {
  const svg = plot("Start", "", [row("a", 1), row("b", 10), row("c", 100)]);
  const [a = 0, b = 0, c = 0] = [...svg.matchAll(/<circle cx="([\d.]+)"/g)].map((match) => Number(match[1]));
  expect(b - a).toBeCloseTo(c - b, 0);
});

test("everything lies within the picture, even without rows", () => {
  for (const rows of [[], [row("one", 7)], [row("tiny", 0.02), row("huge", 90_000)]]) {
    const xs = [...plot("T", "", rows).matchAll(/(?:x|x1|x2|cx)="([\d.-]+)"/g)].map((m) => Number(m[1]));
    expect(xs.every((x) => x >= 0 && x <= 860)).toBe(true);
  }
});

test("titles cannot break the picture", () => {
  expect(plot(`<"&>`, "", [])).toContain("&#60;&#34;&#38;&#62;");
});
