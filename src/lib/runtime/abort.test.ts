import { getEventListeners } from "node:events";
import { expect, test, vi } from "vitest";
import { abortable, onAbort } from "./abort.ts";

test("onAbort calls once, at the abort or at once after it", () => {
  const abort = new AbortController();
  const early = vi.fn();
  const late = vi.fn();

  onAbort(abort.signal, early);
  expect(early).not.toHaveBeenCalled();
  abort.abort();
  onAbort(abort.signal, late);
  onAbort(undefined, late);

  expect(early).toHaveBeenCalledTimes(1);
  expect(late).toHaveBeenCalledTimes(1);
});

test("onAbort calls nothing once it has been disposed of", () => {
  const abort = new AbortController();
  const fn = vi.fn();
  {
    using _ = onAbort(abort.signal, fn);
  }
  abort.abort();

  expect(fn).not.toHaveBeenCalled();
  expect(getEventListeners(abort.signal, "abort")).toEqual([]);
});

test("abortable gives the outcome of the work and leaves no listener", async () => {
  const { signal } = new AbortController();

  await expect(abortable(Promise.resolve(1), signal)).resolves.toBe(1);
  await expect(abortable(Promise.reject(new Error("no")), signal)).rejects.toThrow("no");
  await expect(abortable(Promise.resolve(2), undefined)).resolves.toBe(2);
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

test("abortable rejects with the reason of the signal, and the work may fail later", async () => {
  const abort = new AbortController();
  const reason = new Error("gone");
  const work = Promise.withResolvers<void>();

  const waiting = abortable(work.promise, abort.signal);
  abort.abort(reason);

  await expect(waiting).rejects.toBe(reason);
  await expect(abortable(work.promise, abort.signal)).rejects.toBe(reason);
  work.reject(new Error("unheard"));
});
