import { expect, test } from "vitest";
import { DEFAULT_RETRY, pause, retryAfterMs } from "./retry.ts";

test.each([
  [undefined, undefined],
  ["3", 3000],
  ["Thu, 01 Jan 1970 00:00:10 GMT", 9000],
  ["Thu, 01 Jan 1970 00:00:00 GMT", undefined],
  ["soon", undefined],
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
