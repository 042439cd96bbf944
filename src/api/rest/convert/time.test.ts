import { expect, test, vi } from "vitest";
import { timeOf } from "./time.ts";

test("times are read as RFC 3339 writes them, also with a plus that was not escaped", () => {
  const at = (text: string) => timeOf(text)?.toISOString();

  expect(at("2026-11-29T12:00:00.5Z")).toBe("2026-11-29T12:00:00.500Z");
  for (const text of ["2026-11-29T13:00:00+01:00", "2026-11-29T13:00:00 01:00", "2026-11-29T10:30:00-01:30"])
    expect(at(text)).toBe("2026-11-29T12:00:00.000Z");
  expect(at("2026-11-29")).toBe("2026-11-29T00:00:00.000Z");
  for (const text of ["", "10m", "yesterday", "2026-13-45T00:00:00Z", "12:00"])
    expect(at(text)).toBeUndefined();
});

test("a time without an offset is UTC, wherever the server is", () => {
  vi.stubEnv("TZ", "America/Chicago");
  const at = (text: string) => timeOf(text)?.toISOString();

  for (const text of [
    "2026-11-29T12:00:00",
    "2026-11-29T12:00",
    "2026-11-29 12:00:00",
    "2026-11-29t12:00:00",
  ])
    expect(at(text)).toBe("2026-11-29T12:00:00.000Z");
  vi.unstubAllEnvs();
});
