import { expect, test } from "vitest";
import { Fault } from "../../lib/faults/fault.ts";
import { Repeats } from "./repeat.ts";

const NEVER = new AbortController().signal;

function refused(reason: string, retryAfterMs?: number): Fault {
  const extra = retryAfterMs === undefined ? {} : { retryAfterMs };
  return new Fault("RESOURCE_EXHAUSTED", reason, "no", {}, extra);
}

test.each(["RATE_LIMITED", "CREATES_IN_PROGRESS", "TOO_MANY_CALLS", "TOO_MANY_STREAMS"])(
  "after %s a call is repeated, and it is said",
  async (reason) => {
    const said: string[] = [];
    const repeats = new Repeats(
      (line) => said.push(line),
      NEVER,
      () => 0,
    );

    await repeats.wait(refused(reason, 1));

    expect(said).toEqual([`Too many calls (${reason}); asking again in 0.0 s.`]);
  },
);

test.each([
  ["what may have done something", refused("NO_CAPACITY", 1)],
  ["a refusal that names no time", refused("RATE_LIMITED")],
  ["a wait that is the user's to decide on", refused("RATE_LIMITED", 10_001)],
  ["what is no fault", new Error("x")],
])("%s is not repeated", async (_, err) => {
  await expect(
    new Repeats(
      () => {},
      NEVER,
      () => 0,
    ).wait(err),
  ).rejects.toBe(err);
});

test("somebody who is refused again and again is told in the end", async () => {
  const gone = AbortSignal.abort(new Error("gone"));
  const repeats = new Repeats(
    () => {},
    gone,
    () => 0,
  );
  const waits = Promise.allSettled(
    Array.from({ length: 6 }, () => repeats.wait(refused("RATE_LIMITED", 10_000))),
  );

  const last = refused("RATE_LIMITED", 1);
  await expect(repeats.wait(last)).rejects.toBe(last);
  await waits;
});
