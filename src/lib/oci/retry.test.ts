import { expect, test } from "vitest";
import { DEFAULT_RETRY, pause, retryAfterMs } from "./retry.ts";

test.each([
  [undefined, undefined],
  ["3", 3000],
  ["Thu, 01 Jan 1970 00:00:10 GMT", 9000],
  ["Thu, 01 Jan 1970 00:00:00 GMT", undefined],
  ["Thursday, 01-Jan-70 00:00:10 GMT", 9000],
  ["Thu Jan  1 00:00:10 1970", 9000],
  [" 3 ", 3000],
  ["3600.5", 3_600_500],
  ["9".repeat(400), Number.MAX_SAFE_INTEGER],
  ["soon", undefined],
  ["-5", undefined],
  ["1h", undefined],
  ["2026", 2_026_000],
  ["2026-11-29", undefined],
])("Retry-After: %s means %s milliseconds", (header, expected) => {
  expect(retryAfterMs(header, 1000)).toBe(expected);
});

test("a pause ends at once when nobody waits any more", async () => {
  const abort = new AbortController();
  const waiting = pause({ ...DEFAULT_RETRY, maxMs: 60_000 }, 1, 60_000, abort.signal);
  abort.abort();

  await expect(waiting).rejects.toThrow();
});

test("a pause is never longer than the policy's longest, whatever the server asks for", async () => {
  const waiting = pause({ attempts: 2, firstMs: 1, maxMs: 1 }, 10, 60_000, new AbortController().signal);

  await expect(waiting).resolves.toBeUndefined();
});
