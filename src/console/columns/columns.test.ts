import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { StoredOperation } from "../../lib/latency/operation-rows.ts";
import { bucketOf, compareBuckets } from "./buckets.ts";
import { Columns } from "./columns.ts";
import { columnsOf, filterOf, fleetUntilNoon, lasting, operation } from "./operations.fixture.ts";
import { select } from "./select.ts";

describe("an operation in columns", () => {
  test("reads back as it was written", () => {
    const written = operation({
      ...{ durationUs: 4_000_000_123, startUs: 1_764_000_000_123_456, reason: "HOST_FULL", poolSize: -1 },
      ...{ queueLength: 17, refillMs: 512, hops: { api: 3, "guest exec": 4_000_000_120 }, skewUs: 12 },
    });

    const columns = new Columns();
    columns.append([written]);

    const { row: _, ...expected } = written;
    expect(columns.at(0)).toEqual(expected);
    expect(columns.dominantOf(0)).toBe("guest exec");
  });

  test("is read by its index of then, whatever comes and goes", () => {
    const columns = columnsOf(fleetUntilNoon(3_000, 1));
    const before = columns.at(2_500);
    const read = columns.reader();

    columns.append(fleetUntilNoon(5_000, 1, 2).map((each) => ({ ...each, row: each.row + 3_000 })));
    columns.bound(100);

    expect(columns.live).toBe(100);
    expect(read(2_500)).toEqual(before);
  });

  test("is found by its trace, however alike the bytes of others are", () => {
    const traces = ["0".repeat(32), `${"0".repeat(31)}1`, "0".repeat(32)];
    const columns = columnsOf(traces.map((traceId) => ({ traceId, spanId: "0".repeat(16) })));

    expect(columns.ids.withTrace("0".repeat(32), columns.length)).toEqual([0, 2]);
    expect(columns.ids.withTrace("f".repeat(32), columns.length)).toEqual([]);
  });

  test("keeps its time whatever names of hops others bring", () => {
    const hops = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`hop ${i}`, 1]));

    const columns = columnsOf([{ hops }, { hops: { api: 7 } }]);

    const sum = (index: number) => Object.values(columns.at(index).hops).reduce((all, us) => all + us, 0);
    expect([sum(0), sum(1)]).toEqual([200, 7]);
    expect(columns.hops.length).toBeLessThanOrEqual(64);
  });
});

describe("what is kept", () => {
  test("is what came, without what was removed, shortest first, in any order of both", () => {
    const steps = fc.array(
      fc.record({ added: fc.array(fc.nat(5_000), { maxLength: 700 }), removed: fc.array(fc.nat(3_000)) }),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(steps, (all) => {
        const columns = new Columns();
        let kept: StoredOperation[] = [];
        let row = 0;
        for (const { added, removed } of all) {
          const page = added.map((durationUs) => {
            row += 1;
            return operation({ row, durationUs, host: `h${row % 7}`, hops: { api: durationUs + 1 } });
          });
          columns.append(page);
          columns.remove(removed);
          const gone = new Set(removed);
          kept = [...kept, ...page].filter((each) => !gone.has(each.row));
        }
        const filter = { ...filterOf("kind=all"), sinceMs: 0, untilMs: Number.MAX_SAFE_INTEGER };
        const found = [...select(columns, filter, undefined)].map((i) => columns.at(i));
        const expected = kept.map(({ row: _, ...rest }) => rest);
        expect(columns.live).toBe(kept.length);
        expect(found.map(({ durationUs }) => durationUs)).toEqual(
          expected.map(({ durationUs }) => durationUs).toSorted((a, b) => a - b),
        );
        expect(new Set(found.map((each) => JSON.stringify(each)))).toEqual(
          new Set(expected.map((each) => JSON.stringify(each))),
        );
      }),
      { numRuns: 30 },
    );
  });

  test("is bounded: the oldest rows go first, and their texts with them", () => {
    const columns = columnsOf(fleetUntilNoon(5_000, 1));

    columns.bound(100);

    expect(columns.live).toBe(100);
    const rows = [...select(columns, filterOf("kind=all&since=2h"), undefined)].map(
      (i) => columns.numbers.row[i],
    );
    expect(Math.min(...rows.map(Number))).toBe(4_901);
    expect(columns.texts.machine.values.length).toBeLessThanOrEqual(100);
  });

  test("grows beyond the first allocation without losing anything", () => {
    const columns = columnsOf(lasting(...Array.from({ length: 3_000 }, (_, i) => 3_000 - i)));

    expect([columns.length, columns.at(0).durationUs, columns.at(2_999).durationUs]).toEqual([
      3_000, 3_000, 1,
    ]);
    expect([columns.byDuration[0], columns.byDuration[2_999]]).toEqual([2_999, 0]);
  });
});

describe("buckets of counts", () => {
  test.each([
    [0, "0"],
    [1, "1"],
    [2, "2-3"],
    [3, "2-3"],
    [4, "4-7"],
    [1_023, "512-1023"],
    [1_024, "1024-2047"],
    [-1, "0"],
  ])("%i is in %s", (count, bucket) => {
    expect(bucketOf(count)).toBe(bucket);
  });

  test("are in the order of what they count", () => {
    expect(["16-31", "0", "2-3", "1"].toSorted(compareBuckets)).toEqual(["0", "1", "2-3", "16-31"]);
  });
});
