import { expect, test } from "vitest";
import { simulate } from "./simulate.ts";

/** In parts, so that one that fails is told of early. */
const PART = 100;

/** Tests that so many seeds keep every invariant. Several files share them out, because each has a process, and so a core, of its own. */
export function testSeeds(from: number, count: number): void {
  const parts = Array.from({ length: Math.ceil(count / PART) }, (_, i) => from + i * PART);
  test.each(parts)("a simulated region keeps every invariant from seed %i on", async (first) => {
    const failed: string[] = [];
    for (let seed = first; seed < Math.min(first + PART, from + count) && failed.length === 0; seed++) {
      const { violations } = await simulate(seed);
      if (violations.length > 0) failed.push(`npm run sim -- --seed ${seed}`, ...violations);
    }

    expect(failed).toEqual([]);
  });
}
