import { expect, test } from "vitest";
import { ManualClock } from "../../../test/support/manual-clock.ts";
import { digestOf } from "../../lib/oci/digest.ts";
import { crashed } from "../squashfs/build-faults.ts";
import { FailedBuilds } from "./failed-builds.ts";

const digest = (n: number) => digestOf(n.toString(16).padStart(64, "0"));

test("a fault is kept for ten minutes", () => {
  const clock = new ManualClock();
  const failed = new FailedBuilds(clock);
  const fault = crashed("SIGSEGV");
  failed.add(digest(1), fault);

  clock.advance(10 * 60_000 - 1);
  expect(failed.get(digest(1))).toBe(fault);
  clock.advance(1);
  expect(failed.get(digest(1))).toBeUndefined();
});

test("the oldest of more than a thousand is forgotten", () => {
  const failed = new FailedBuilds(new ManualClock());
  for (let n = 0; n <= 1_000; n++) failed.add(digest(n), crashed(`exit status ${n}`));

  expect(failed.get(digest(0))).toBeUndefined();
  expect(failed.get(digest(1))?.message).toContain("exit status 1)");
  expect(failed.get(digest(1_000))).toBeDefined();
});
