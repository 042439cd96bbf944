import { describe, expect, test } from "vitest";
import { planRestarts } from "./faults.ts";
import { firstFailing } from "./first-failing.ts";
import { simulate } from "./simulate.ts";

const SEEDS = 1_000;
/** In parts, so that one that fails names a few only, and says so early. */
const PART = 100;

describe("a simulated region", () => {
  test.each(Array.from({ length: SEEDS / PART }, (_, i) => i * PART + 1))(
    "keeps every invariant from seed %i on",
    async (from) => {
      const failed: string[] = [];
      for (let seed = from; seed < from + PART && failed.length === 0; seed++) {
        const { violations } = await simulate(seed);
        if (violations.length > 0) failed.push(`npm run sim -- --seed ${seed}`, ...violations);
      }

      expect(failed).toEqual([]);
    },
  );

  test("goes the same way whenever it is simulated, watched or not", async () => {
    const first = await simulate(7, { isVerbose: true });
    await simulate(8);
    const again = await simulate(7, { isVerbose: true });

    expect(again.lines).toEqual(first.lines);
    expect(again.lines.length).toBeGreaterThan(50);
    expect((await simulate(7)).fingerprint).toBe(first.fingerprint);
    expect((await simulate(8)).fingerprint).not.toBe(first.fingerprint);
  });

  test("keeps every invariant while hosts restart in the middle of auctions", async () => {
    expect(await firstFailing(40, { plan: planRestarts })).toBeUndefined();
  });
});
