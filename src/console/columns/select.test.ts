import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DIMENSIONS, type Dimension } from "../answers/operations.ts";
import { columnsOf, filterOf, fleetUntilNoon, NOON_MS } from "./operations.fixture.ts";
import { measured, select } from "./select.ts";

const fleet = fleetUntilNoon(2_000, 1, 7);
const columns = columnsOf(fleet);

/** Rows that a query selects. */
function rowsOf(query: string, org?: string): number[] {
  return [...select(columns, filterOf(query), org)].map((i) => columns.numbers.row[i] ?? 0);
}

describe("a filter", () => {
  test("selects what a plain look at each operation selects", () => {
    const texts: Partial<Record<Dimension, (typeof fleet)[number] extends infer T ? keyof T : never>> = {
      ...{ path: "path", host: "host", image: "image", app: "app", org: "org", region: "region" },
      ...{ version: "version", machine: "machineId", reason: "reason" },
    };
    const names = DIMENSIONS.filter((each) => texts[each] !== undefined);
    const word = fc.record({
      name: fc.constantFrom(...names),
      from: fc.nat(fleet.length - 1),
      isExcluded: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(word, { maxLength: 4 }), fc.nat(400), fc.boolean(), (words, minMs, hasOrg) => {
        const chosen = words.map(({ name, from, isExcluded }) => ({
          ...{ name, isExcluded, value: String(fleet[from]?.[texts[name] ?? "path"]) },
        }));
        const query = new URLSearchParams({ kind: "all", min: `${minMs}ms` });
        for (const { name, value, isExcluded } of chosen)
          query.append(name, `${isExcluded ? "!" : ""}${value}`);
        const org = hasOrg ? "org-3" : undefined;

        const found = rowsOf(query.toString(), org);

        const expected = fleet.filter((each) => {
          if (each.durationUs < minMs * 1_000 || (org !== undefined && each.org !== org)) return false;
          return names.every((name) => {
            const own = chosen.filter((one) => one.name === name);
            const value = String(each[texts[name] ?? "path"]);
            const included = own.filter((one) => !one.isExcluded);
            if (own.some((one) => one.isExcluded && one.value === value)) return false;
            return included.length === 0 || included.some((one) => one.value === value);
          });
        });
        expect(found.toSorted((a, b) => a - b)).toEqual(expected.map(({ row }) => row));
      }),
      { numRuns: 60 },
    );
  });

  test("by a box selects its times and durations, and leaves out the box on demand", () => {
    const box = `box=${NOON_MS - 600_000},${NOON_MS - 300_000},20000,40000`;
    const inside = rowsOf(`kind=all&${box}`);

    const expected = fleet.filter(({ startUs, durationUs }) => {
      const ms = startUs / 1_000;
      const isThen = ms >= NOON_MS - 600_000 && ms < NOON_MS - 300_000;
      return isThen && durationUs >= 20_000 && durationUs <= 40_000;
    });
    expect(inside.toSorted((a, b) => a - b)).toEqual(expected.map(({ row }) => row));
    expect(inside.length).toBeGreaterThan(10);
    const all = select(columns, filterOf(`kind=all&${box}`), undefined, { isBoxed: false });
    expect(all.length).toBe(fleet.length);
  });

  test("of an organisation that has nothing selects nothing, even when it asks for another's", () => {
    expect(rowsOf("kind=all&org=org-3", "nobody")).toEqual([]);
    expect(rowsOf("kind=all&org=org-3", "org-4")).toEqual([]);
    expect(rowsOf("kind=all&org=org-3", "org-3").length).toBeGreaterThan(0);
  });

  test("by queue and concurrency takes buckets", () => {
    const found = rowsOf("kind=all&queue=4-7&concurrency=2-3");

    const expected = fleet.filter(
      ({ queueLength, concurrency }) => queueLength >= 4 && queueLength <= 7 && [2, 3].includes(concurrency),
    );
    expect(found.toSorted((a, b) => a - b)).toEqual(expected.map(({ row }) => row));
  });
});

test("percentiles are of what succeeded, unless failures were asked for", () => {
  const all = select(columns, filterOf("kind=all"), undefined);
  const failed = fleet.filter(({ reason }) => reason !== "").length;

  const good = measured(columns, all, filterOf("kind=all"));
  const bad = measured(columns, all, filterOf("kind=all&outcome=failed"));

  expect(failed).toBeGreaterThan(0);
  expect([good.length, bad.length]).toEqual([fleet.length - failed, failed]);
});
