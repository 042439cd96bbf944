import fc from "fast-check";
import { expect, test } from "vitest";
import { mergeNewest } from "./merge-newest.ts";

const ids = fc.uniqueArray(fc.stringMatching(/^[A-Z]{2}$/), { maxLength: 30 });

function newestFirst(list: readonly string[]): readonly string[] {
  return [...list].sort().reverse();
}

test("pages of two overlapping lists have every id once, newest first", () => {
  fc.assert(
    fc.property(ids, ids, fc.integer({ min: 1, max: 7 }), (host, stored, limit) => {
      const read = (list: readonly string[], before: string) =>
        newestFirst(list)
          .filter((id) => before === "" || id < before)
          .slice(0, limit)
          .map((id) => ({ id }));
      const found: string[] = [];
      for (;;) {
        const before = found.at(-1) ?? "";
        const page = mergeNewest(read(host, ""), read(stored, before), before, limit);
        // A host returns its newest events for every page, so only those are merged here.
        if (page.length === 0) break;
        found.push(...page.map(({ id }) => id));
      }

      const sent = newestFirst(host).slice(0, limit);
      expect(found).toEqual(newestFirst([...new Set([...sent, ...stored])]));
    }),
  );
});

test("an item of the preferred list takes the place of the other", () => {
  const [fresh, stale] = [
    { id: "A", text: "fresh" },
    { id: "A", text: "stale" },
  ];

  expect(mergeNewest([fresh], [stale], "", 10)).toEqual([fresh]);
});
