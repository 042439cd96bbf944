import { expect, test } from "vitest";
import { TimeLimit } from "./wait.ts";

test("a limit aborts when its time is over, and says so", async () => {
  const limit = new TimeLimit(1, new AbortController().signal);

  await expect.poll(() => limit.signal.aborted).toBe(true);

  expect(limit.isOver).toBe(true);
  expect(limit.signal.reason).toMatchObject({ name: "TimeoutError" });
});

test("a limit aborts with the signal it was made from, before or after", () => {
  const abort = new AbortController();
  const before = new TimeLimit(60_000, abort.signal);
  abort.abort("called off");
  const after = new TimeLimit(60_000, abort.signal);

  for (const limit of [before, after]) {
    expect(limit.signal.reason).toBe("called off");
    expect(limit.isOver).toBe(false);
    limit[Symbol.dispose]();
  }
});

test("a limit that has been cleared aborts no more", () => {
  const abort = new AbortController();
  const limit = new TimeLimit(60_000, abort.signal);

  limit[Symbol.dispose]();
  abort.abort("called off");

  expect(limit.signal.aborted).toBe(false);
});
